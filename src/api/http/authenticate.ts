import type { IncomingMessage } from 'node:http'
import type { App } from '../../app.ts'
import type { Appservice } from '../../core/appservice.ts'
import { ForbiddenError, MatrixError, SuspendedError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { accountUrl } from '../../services/users/account-management.ts'
import { openOperatorSession, readOperatorProof } from '../../services/users/administration/operator.ts'
import { findSession, requireUnlocked } from '../../services/users/sessions.ts'
import { findNoticesRoom } from '../../storage/rooms/server-notices.ts'
import type { AnyEndpoint, Session } from './route.ts'

/**
 * Authenticates a request as far as its endpoint requires. Throws M_MISSING_TOKEN, M_UNKNOWN_TOKEN, M_USER_LOCKED,
 * M_USER_SUSPENDED, M_GUEST_ACCESS_FORBIDDEN, M_FORBIDDEN, and as openOperatorSession.
 */
export async function authenticate(
  app: App,
  endpoint: AnyEndpoint,
  request: { raw: IncomingMessage; query: URLSearchParams; ip: string; params: Record<string, string> },
): Promise<Session | undefined> {
  if (endpoint.auth === 'none') return undefined
  const operator = endpoint.auth === 'admin' ? readOperatorProof(request.raw.headers.authorization) : undefined
  if (operator) return openOperatorSession(app, operator, { method: request.raw.method!, url: request.raw.url! })
  const token = accessTokenOf(request)
  if (token === undefined) {
    if (endpoint.auth === 'optional') return undefined
    throw new MatrixError(401, 'M_MISSING_TOKEN', 'An access token is needed')
  }
  const session = await findSession(app, {
    accessToken: token,
    asUserId: request.query.get('user_id') ?? undefined,
    asDeviceId: request.query.get('device_id') ?? request.query.get('org.matrix.msc3202.device_id') ?? undefined,
    ip: request.ip,
    userAgent: request.raw.headers['user-agent'],
    needsScope: endpoint.needsScope,
  })
  if (session.scope !== null && endpoint.onAccountPage) throw onAccountPage(app)
  if (!endpoint.lockedUsers) requireUnlocked(session, endpoint.expiredUsers)
  if (session.isSuspended) await requireForSuspended(app, endpoint, { userId: session.userId, params: request.params })
  if (session.isGuest && !endpoint.guests && endpoint.auth !== 'optional') {
    throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests may not do this')
  }
  if (endpoint.auth === 'admin' && !session.isAdmin) throw new ForbiddenError('Only server administrators may do this')
  if (endpoint.auth === 'appservice' && !session.appservice) {
    throw new ForbiddenError('Only application services may do this')
  }
  return session
}

/** OAuth 2.0 leaves some things to the account page. */
function onAccountPage(app: App): MatrixError {
  const instead = `Clients that sign in by OAuth 2.0 cannot do this. Use the account page instead: ${accountUrl(app)}`
  return new MatrixError(404, 'M_UNRECOGNIZED', instead)
}

/**
 * Returns the user who calls an endpoint without required authentication, if the request has a valid token.
 * https://spec.matrix.org/v1.19/client-server-api/#client-authentication leaves optional tokens open.
 */
export async function recognize(
  app: App,
  endpoint: AnyEndpoint,
  request: Parameters<typeof authenticate>[2],
): Promise<Session | undefined> {
  if (!endpoint.recognizesUsers) return undefined
  const forAll = { ...endpoint, auth: 'optional', lockedUsers: true, suspendedUsers: true } as const
  return authenticate(app, forAll, request).catch((error) => {
    if (error instanceof MatrixError) return undefined
    throw error
  })
}

/** Suspended users may still write to the administrators in the notices room. */
async function requireForSuspended(
  app: App,
  { method, suspendedUsers = method === 'GET' }: AnyEndpoint,
  { userId, params }: { userId: UserId; params: Record<string, string> },
): Promise<void> {
  if (suspendedUsers === true) return
  const roomId = params.roomId ?? params.roomIdOrAlias
  const maySpeak = suspendedUsers === 'in the notices room' && (await findNoticesRoom(app.database, userId)) === roomId
  if (!maySpeak) throw new SuspendedError()
}

/**
 * Returns the application service that calls an endpoint which needs no token of others; `unknown` for any other token,
 * which has no meaning there.
 */
export function authenticateAppservice(
  app: App,
  endpoint: AnyEndpoint,
  request: { raw: IncomingMessage; query: URLSearchParams },
): Appservice | 'unknown' | undefined {
  const token = endpoint.appservices ? accessTokenOf(request) : undefined
  return token === undefined ? undefined : (app.knownAppservices.findByToken(token) ?? 'unknown')
}

/**
 * https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens; the query parameter is deprecated, but old
 * clients and bots use it.
 */
function accessTokenOf({ raw, query }: { raw: IncomingMessage; query: URLSearchParams }): string | undefined {
  const header = raw.headers.authorization
  if (header?.slice(0, 7).toLowerCase() === 'bearer ') return header.slice(7).trim()
  return query.get('access_token') ?? undefined
}
