import type { IncomingMessage } from 'node:http'
import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import { canonicalJson } from '../../core/json/canonical-json.ts'
import { isDeniedBy } from '../../core/rooms/server-lists.ts'
import { isPrivateAddress } from '../../infra/http/private-address.ts'
import {
  authenticateServer,
  findClaims,
  readCredentials,
  type ServerSession,
} from '../../services/federation/trust/authenticate-server.ts'
import { readJson } from './body.ts'
import { networkOf } from './network-of.ts'

/**
 * Authenticates a signed request of another server, and returns the server and the body, which the signature covers.
 * Throws M_FORBIDDEN for a denied server, 401 M_UNAUTHORIZED, M_NOT_JSON, M_TOO_LARGE, M_LIMIT_EXCEEDED.
 */
export async function receiveSigned(
  app: App,
  request: IncomingMessage,
  ip: string,
): Promise<{ session: ServerSession; body: unknown }> {
  // Fetching keys may take long. In the meantime no part of the body is in memory.
  const credentials = readCredentials(app, request.headersDistinct.authorization ?? [])
  const [{ origin }] = credentials
  if (isDeniedBy(app.config.federation.servers, origin)) {
    throw new ForbiddenError(`${app.serverName} does not federate with ${origin}`)
  }
  // A private address is that of a proxy that does not forward the client address. Its key includes the claimed origin,
  // so that one origin does not use up the limit of others.
  const source = isPrivateAddress(ip) ? `${ip} ${origin}` : networkOf(ip)
  const claims = await findClaims(app, credentials, source)
  const body =
    request.method === 'GET' || request.method === 'HEAD' ? undefined : await readJson(request, app.config.limits)
  const content = body === undefined ? undefined : canonicalJson(body as object, { strict: false })
  const session = authenticateServer(app, claims, { method: request.method!, uri: request.url!, content })
  app.outbound.serversAlive.note(session.origin)
  return { session, body: body === undefined ? {} : body }
}
