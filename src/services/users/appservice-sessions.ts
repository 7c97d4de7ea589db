import type { App } from '../../app.ts'
import { type Appservice, hasUser } from '../../core/appservice.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import { isUserId, type UserId } from '../../core/ids.ts'
import { wakeAppservice } from '../../storage/appservices/appservices.ts'
import { findTokenlessHolder } from '../../storage/users/access-tokens.ts'
import type { Session } from './session.ts'
import { hashToken } from './tokens.ts'

type Request = { asUserId?: string | undefined; asDeviceId?: string | undefined }

/** How often a process records that an application service is alive. */
const ALIVE_INTERVAL_MS = 5000

const byTokenHash = new WeakMap<readonly Appservice[], Map<string, Appservice>>()

/** Finds the application service with this token. */
export function findAppservice({ config }: Pick<App, 'config'>, token: string): Appservice | undefined {
  return config.appservices.length > 0 ? findByHash(config.appservices, hashToken(token)) : undefined
}

/** Finds an application service by the token's hash: comparing hashes leaks nothing about the token by timing. */
export function findByHash(appservices: readonly Appservice[], tokenHash: string): Appservice | undefined {
  const known = byTokenHash.get(appservices) ?? new Map(appservices.map((each) => [hashToken(each.asToken), each]))
  byTokenHash.set(appservices, known)
  return known.get(tokenHash)
}

/**
 * Returns the session of an application service, as the asserted user and device. Throws 403 M_FORBIDDEN for an unknown
 * user or one outside its namespaces, M_USER_DEACTIVATED, and 400 M_UNKNOWN_DEVICE.
 * https://spec.matrix.org/v1.19/application-service-api/#identity-assertion
 */
export async function appserviceSession(
  app: Pick<App, 'database' | 'clock' | 'logger'>,
  appservice: Appservice,
  { asUserId, asDeviceId }: Request,
): Promise<Session> {
  noteAlive(app, appservice)
  const userId = (asUserId ?? appservice.sender) as UserId
  if (!isUserId(userId) || !hasUser(appservice, userId)) {
    throw new ForbiddenError('The application service cannot act as this user')
  }
  const holder = await findTokenlessHolder(app.database, { userId, deviceId: asDeviceId ?? null })
  if (!holder) throw new ForbiddenError('The application service has not registered this user')
  if (holder.deactivated) throw new MatrixError(403, 'M_USER_DEACTIVATED', 'This account has been deactivated')
  if (asDeviceId !== undefined && holder.device_id === null) {
    throw new MatrixError(400, 'M_UNKNOWN_DEVICE', 'The user has no such device')
  }
  return {
    userId,
    deviceId: holder.device_id,
    isAdmin: holder.is_admin,
    isGuest: holder.is_guest,
    isLocked: holder.locked,
    isSuspended: holder.suspended,
    exemptFromRateLimits: !appservice.isRateLimited || userId === appservice.sender || holder.exempt_from_rate_limits,
    tokenHash: hashToken(appservice.asToken),
    appservice,
  }
}

const noted = new WeakMap<Appservice, number>()

/** Records that an application service is up again when it sends a request, which ends its back-off. */
function noteAlive(
  { database, clock, logger }: Pick<App, 'database' | 'clock' | 'logger'>,
  appservice: Appservice,
): void {
  const now = clock.now()
  if (now - (noted.get(appservice) ?? 0) < ALIVE_INTERVAL_MS) return
  noted.set(appservice, now)
  database
    .write((tx) => wakeAppservice(tx, appservice.id, now))
    .catch((error) => logger.warn({ err: error }, 'resetting the back-off of an appservice failed'))
}
