import type { App } from '../../app.ts'
import { type Appservice, hasUser } from '../../core/appservice.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import { isUserId, type UserId } from '../../core/ids.ts'
import { findTokenlessHolder } from '../../storage/users/access-tokens.ts'
import { messageRateOf, type Session } from './session.ts'
import { hashToken } from './tokens.ts'

type Request = { asUserId?: string | undefined; asDeviceId?: string | undefined }

/**
 * Returns the session of an application service, as the asserted user and device. Throws 403 M_FORBIDDEN for an unknown
 * user or one outside its namespaces, M_USER_DEACTIVATED, and 400 M_UNKNOWN_DEVICE.
 * https://spec.matrix.org/v1.19/application-service-api/#identity-assertion
 */
export async function appserviceSession(
  app: Pick<App, 'database' | 'knownAppservices'>,
  appservice: Appservice,
  { asUserId, asDeviceId }: Request,
): Promise<Session> {
  app.knownAppservices.noteAlive(appservice)
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
    isExpired: false,
    isSuspended: holder.suspended,
    isShadowBanned: holder.shadow_banned,
    createdTs: holder.created_ts,
    exemptFromRateLimits: !appservice.isRateLimited || userId === appservice.sender || holder.exempt_from_rate_limits,
    messageRate: messageRateOf(holder),
    tokenHash: hashToken(appservice.asToken),
    scope: null,
    appservice,
  }
}
