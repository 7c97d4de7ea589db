import { z } from 'zod'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { isUserId, type ServerName, serverNameOf, type UserId } from '../../core/ids.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { findOpenIdUser } from '../users/settings/openid-tokens.ts'

const TIMEOUT_MS = 10_000
const MAX_BYTES = 64 * 1024

const userinfo = z.object({ sub: z.string() })

/**
 * Returns the user whose homeserver issued an OpenID token. Throws 401 M_UNAUTHORIZED if the server does not confirm
 * it, names a user of another server, or cannot be reached.
 * https://spec.matrix.org/v1.19/server-server-api/#openid
 */
export async function findOpenIdCaller(
  app: Pick<App, 'database' | 'clock' | 'serverName' | 'federation'>,
  { server, token }: { server: ServerName; token: string },
): Promise<UserId> {
  try {
    if (server === app.serverName) return await findOpenIdUser(app, token)
    const answer = await app.federation.request({
      destination: server,
      method: 'GET',
      path: '/_matrix/federation/v1/openid/userinfo',
      query: { access_token: token },
      timeoutMs: TIMEOUT_MS,
      maxBytes: MAX_BYTES,
    })
    const { sub } = userinfo.parse(answer)
    if (isUserId(sub) && serverNameOf(sub as UserId) === server) return sub as UserId
  } catch (error) {
    const isRefusal = error instanceof FederationError || error instanceof z.ZodError
    const isOwnRefusal = error instanceof MatrixError && error.status === 401
    if (!isRefusal && !isOwnRefusal) throw error
  }
  throw unauthorized(`${server} does not confirm the OpenID token. Request another one`)
}

/** 401 in the form of LiveKit token services. */
export function unauthorized(message: string): MatrixError {
  return new MatrixError(401, 'M_UNAUTHORIZED', message)
}
