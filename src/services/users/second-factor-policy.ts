import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import type { Db } from '../../storage/engine/database.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { countSecondFactors } from '../../storage/users/second-factors.ts'

/** `prove`: the user has a second factor. `set up`: the policy requires one, which the user lacks. */
export type SecondFactorNeed = 'none' | 'prove' | 'set up'

type SecondFactorUser = Pick<UserRow, 'user_id' | 'is_admin'>

/** Returns what a user has to do about a second factor after the first step of a sign-in. */
export async function findSecondFactorNeed(
  app: Pick<App, 'config'>,
  db: Db,
  user: SecondFactorUser,
): Promise<SecondFactorNeed> {
  const { totp, passkeys } = await countSecondFactors(db, user.user_id)
  if (totp || passkeys > 0) return 'prove'
  return isSecondFactorRequired(app, user) ? 'set up' : 'none'
}

/** Whether the policy requires a second factor of a user. */
export function isSecondFactorRequired({ config }: Pick<App, 'config'>, user: Pick<UserRow, 'is_admin'>): boolean {
  return config.second_factor === 'required' || (config.second_factor === 'required_for_admins' && user.is_admin)
}

/** Whether a user lacks a second factor that the policy requires. */
export async function lacksSecondFactor(
  app: Pick<App, 'config' | 'database'>,
  { userId, isAdmin }: { userId: UserId; isAdmin: boolean },
): Promise<boolean> {
  const user = { user_id: userId, is_admin: isAdmin }
  return isSecondFactorRequired(app, user) && (await findSecondFactorNeed(app, app.database, user)) === 'set up'
}

/**
 * Throws M_FORBIDDEN if a password alone is not enough for a user to log in. Call it only after the password was
 * checked: the message reveals the account.
 */
export async function requireNoSecondFactor(app: Pick<App, 'config'>, db: Db, user: SecondFactorUser): Promise<void> {
  const need = await findSecondFactorNeed(app, db, user)
  if (need === 'none') return
  const account = `${app.config.public_base_url}/account`
  const token = `, or an app password: a personal token from ${account}/tokens`
  const ways = `a client that opens the sign-in page of this server${app.config.personal_tokens.enabled ? token : ''}`
  throw new ForbiddenError(
    need === 'prove'
      ? `This account has a second factor, so a password alone cannot log in. Use ${ways}`
      : `This server requires a second factor. Set it up at ${account}/second-factor, then use ${ways}`,
  )
}
