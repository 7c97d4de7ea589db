import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { findUser, lockUser, updatePasswordHash } from '../../storage/users.ts'
import { endSessions } from './log-out.ts'
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
  const hash = await app.passwordHasher.hash(password)
  await app.database.write(async (tx) => {
    await lockUser(tx, userId)
    const user = await findUser(tx, userId)
    if (!user || user.deactivated_ts !== null) throw new NotFoundError(`There is no account ${userId}`)
    await updatePasswordHash(tx, userId, hash)
    // Together: whoever knew the old password must not keep a session by a crash in between.
    if (logOutDevices) await endSessions(tx, { userId, keep })
  })
}
