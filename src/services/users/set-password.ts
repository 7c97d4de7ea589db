import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { findUser, updatePasswordHash } from '../../storage/users.ts'
import { logOutEverywhere } from './log-out.ts'
import { checkNewPassword } from './new-password.ts'
import type { Session } from './session.ts'

type NewPassword = {
  userId: UserId
  password: string
  /** Whether to end the user's sessions, except `keep`. */
  logOutDevices: boolean
  keep?: Session | undefined
}

/** Gives a user another password. Throws M_WEAK_PASSWORD, and M_NOT_FOUND for users that this server does not have (any more). */
export async function setPassword(
  app: Pick<App, 'config' | 'database' | 'passwordHasher'>,
  { userId, password, logOutDevices, keep }: NewPassword,
): Promise<void> {
  checkNewPassword(app, password)
  const user = await findUser(app.database, userId)
  if (!user || user.deactivated_ts !== null) throw new NotFoundError(`There is no account ${userId}`)
  const hash = await app.passwordHasher.hash(password)
  await app.database.write((tx) => updatePasswordHash(tx, userId, hash))
  if (logOutDevices) await logOutEverywhere(app, { userId, keep })
}
