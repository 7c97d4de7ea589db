import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { deleteExpiredTokens, insertAccessToken } from '../../../storage/users/access-tokens.ts'
import { lockUser } from '../../../storage/users/users.ts'
import { findLocalUser } from '../account-moderation.ts'
import { hashToken, newToken } from '../tokens.ts'

/**
 * Issues an access token without a device, with which an administrator acts as a user. `validUntil` (milliseconds since
 * 1970) null: until all sessions of the user end. Throws as findLocalUser, and M_INVALID_PARAM for oneself, guests,
 * deactivated users and a time that has passed.
 */
export async function logInAs(
  app: Pick<App, 'database' | 'serverName' | 'random' | 'clock'>,
  { userId, by, validUntil }: { userId: UserId; by: UserId; validUntil: number | null },
): Promise<string> {
  if (userId === by) throw new InvalidParamError('You are logged in as this user')
  const now = app.clock.now()
  if (validUntil !== null && validUntil <= now) throw new InvalidParamError('valid_until_ms: has passed')
  const token = newToken(app, 'access')
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const user = await findLocalUser({ ...app, database: tx }, userId)
    if (user.deactivated_ts !== null || user.is_guest)
      throw new InvalidParamError('This user is a guest or deactivated')
    await deleteExpiredTokens(tx, userId, now)
    const owner = { user_id: userId, device_id: null, scope: null, refresh_token_hash: null }
    await insertAccessToken(tx, { ...owner, token_hash: hashToken(token), expires_ts: validUntil })
  })
  return token
}
