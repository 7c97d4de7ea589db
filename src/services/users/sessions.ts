import type { App } from '../../app.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import { permitsAdmin, permitsApi, permitsMasAdmin, permitsOpenId } from '../../core/oauth-scope.ts'
import { updateLastSeen } from '../../storage/devices/devices.ts'
import { findTokenHolder, type TokenHolder } from '../../storage/users/access-tokens.ts'
import { updateLastUsed } from '../../storage/users/personal-tokens.ts'
import { confirmRefreshToken } from '../../storage/users/refresh-tokens.ts'
import { ExpiredAccountError, isExpiredAccount } from './account-validity.ts'
import { appserviceSession } from './appservice-sessions.ts'
import { noteUse } from './note-use.ts'
import { messageRateOf, type NeededScope, type Session } from './session.ts'
import { hashToken } from './tokens.ts'

type Request = {
  accessToken: string
  /** The user and device that an application service asserts; ignored for other tokens. */
  asUserId?: string | undefined
  asDeviceId?: string | undefined
  ip: string
  userAgent: string | undefined
  /** The scope that an OAuth token must include; default: the client-server API. */
  needsScope?: NeededScope | undefined
}

/**
 * Finds the session of an access token, and updates the device's last-seen time asynchronously. Locked and suspended
 * users have sessions: the caller decides. Throws 401 M_UNKNOWN_TOKEN, with `soft_logout` if the token can be
 * refreshed, and M_FORBIDDEN if its scope does not include what the request needs.
 * https://spec.matrix.org/v1.19/client-server-api/#using-access-tokens
 */
export async function findSession(
  app: Pick<App, 'config' | 'database' | 'clock' | 'logger' | 'knownAppservices'>,
  request: Request,
): Promise<Session> {
  const tokenHash = hashToken(request.accessToken)
  const appservice = app.knownAppservices.findByHash(tokenHash)
  if (appservice) return appserviceSession(app, appservice, request)
  const holder = await findTokenHolder(app.database, tokenHash)
  const now = app.clock.now()
  if (!holder || holder.deactivated) throw unknownToken(false)
  if (holder.expires_ts !== null && holder.expires_ts <= now) throw unknownToken(true)
  if (holder.scope !== null) requireScope(holder.scope, request)
  if (holder.refresh_token_to_confirm) await confirm(app, holder.refresh_token_to_confirm, now)
  noteLastSeen(app, holder, { ...request, now })
  noteLastUsed(app, holder, { tokenHash, now })
  return {
    userId: holder.user_id,
    deviceId: holder.device_id,
    isAdmin: holder.is_admin && permitsToAdminister(holder.scope, request),
    isGuest: holder.is_guest,
    isLocked: holder.locked,
    isExpired: isExpiredAccount(app, holder),
    isSuspended: holder.suspended,
    isShadowBanned: holder.shadow_banned,
    createdTs: holder.created_ts,
    exemptFromRateLimits: holder.exempt_from_rate_limits,
    messageRate: messageRateOf(holder),
    tokenHash,
    scope: holder.scope,
    streamPosition: holder.stream_position,
    appservice: null,
  }
}

/**
 * Throws 401 M_USER_LOCKED for a locked user, and 403 for one whose account has expired unless `admitsExpired`.
 * https://spec.matrix.org/v1.19/client-server-api/#account-locking
 */
export function requireUnlocked({ isLocked, isExpired }: Session, admitsExpired = false): void {
  if (isLocked) throw new MatrixError(401, 'M_USER_LOCKED', 'This account has been locked', { soft_logout: true })
  if (isExpired && !admitsExpired) throw new ExpiredAccountError()
}

const PERMITS: Record<NeededScope, (scope: string) => boolean> = {
  api: permitsApi,
  openid: permitsOpenId,
  mas: permitsMasAdmin,
}

/** The admin API of the Matrix Authentication Service has a scope of its own. */
function permitsToAdminister(scope: string | null, { needsScope }: Request): boolean {
  return scope === null || (needsScope === 'mas' ? permitsMasAdmin(scope) : permitsAdmin(scope))
}

function requireScope(scope: string, { needsScope = 'api' }: Request): void {
  if (!PERMITS[needsScope](scope)) throw new ForbiddenError('The scope of the access token does not include this')
}

/** https://spec.matrix.org/v1.19/client-server-api/#soft-logout */
function unknownToken(softLogout: boolean): MatrixError {
  const message = softLogout ? 'The access token has expired' : 'Unknown access token'
  return new MatrixError(401, 'M_UNKNOWN_TOKEN', message, { soft_logout: softLogout })
}

async function confirm(app: Pick<App, 'database'>, refreshTokenHash: string, now: number): Promise<void> {
  await app.database.write((tx) => confirmRefreshToken(tx, refreshTokenHash, now))
}

function noteLastSeen(
  app: Pick<App, 'database' | 'logger'>,
  { user_id: userId, device_id: deviceId, last_seen_ts: lastTs }: TokenHolder,
  { ip, userAgent, now }: Request & { now: number },
): void {
  if (deviceId === null) return
  noteUse(app, 'device', { lastTs, now }, (tx, at) => updateLastSeen(tx, { userId, deviceId, ip, userAgent, ...at }))
}

/** For personal tokens, which may have no device. */
function noteLastUsed(
  app: Pick<App, 'database' | 'logger'>,
  { last_used_ts: lastTs }: TokenHolder,
  { tokenHash, now }: { tokenHash: string; now: number },
): void {
  if (lastTs === null) return
  noteUse(app, 'personal token', { lastTs, now }, (tx, at) => updateLastUsed(tx, { tokenHash, ...at }))
}
