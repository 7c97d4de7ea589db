import type { App } from '../../app.ts'
import { ForbiddenError, NotFoundError } from '../../core/errors.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { findUser, lockUser, updatePasswordHash } from '../../storage/users/users.ts'
import { type AllSessions, endSessions } from './log-out.ts'
import { enqueueNotice, type NoticeCapabilities } from './mail/account-notices.ts'
import { checkNewPassword } from './new-password.ts'

/**
 * `logOutDevices`: whether to end the user's sessions, except one. `leaveDirectory`: whether an account of the LDAP
 * directory gets a password of its own.
 */
type NewPassword = AllSessions & { logOutDevices: boolean; leaveDirectory?: boolean }

/** Consumes the proof that permits a new password, in the transaction that sets it; throws if it is not valid any more. */
type Prove = (tx: Tx) => Promise<void>

/** Sets a user's password. `minimum`: its shortest length. Throws M_WEAK_PASSWORD, and as setPasswordHash. */
export async function setPassword(
  app: Pick<App, 'database' | 'passwordHasher' | 'directory'> & NoticeCapabilities,
  { password, minimum, ...user }: NewPassword & { password: string; minimum?: number | undefined },
): Promise<void> {
  checkNewPassword(app, password, minimum)
  await setPasswordHash(app, { ...user, hash: await app.passwordHasher.hash(password) })
}

/**
 * Sets a user's password by the hash of an already validated one. Throws M_NOT_FOUND for unknown and deactivated users,
 * M_FORBIDDEN for accounts of the LDAP directory.
 */
export async function setPasswordHash(
  app: Pick<App, 'database' | 'directory'> & NoticeCapabilities,
  { prove, ...password }: NewPassword & { hash: string; prove?: Prove },
): Promise<void> {
  await app.database.write(async (tx) => {
    await lockUser(tx, password.userId)
    await prove?.(tx)
    await replacePassword(app, tx, password)
  })
}

/** Sets a password within a larger transaction, which has locked the user. Throws as setPasswordHash. */
export async function replacePassword(
  app: Pick<App, 'directory'> & NoticeCapabilities,
  tx: Tx,
  { hash, logOutDevices, leaveDirectory = false, ...sessions }: NewPassword & { hash: string },
): Promise<void> {
  const { userId } = sessions
  const user = await findUser(tx, userId)
  if (!user || user.deactivated_ts !== null) throw new NotFoundError(`There is no account ${userId}`)
  if (user.in_directory && app.directory && !leaveDirectory)
    throw new ForbiddenError(
      'The password of this account is in the LDAP directory of your organisation. Change it there.',
    )
  await updatePasswordHash(tx, userId, hash)
  // In one transaction: after a crash, nobody who knew the old password may keep a session.
  await enqueueNotice(app, tx, { userId, notice: { kind: 'password_changed' } })
  if (logOutDevices) await endSessions(tx, sessions)
}

/** Returns whether a user can change the password by the old one: not if the LDAP directory has it, or nobody. */
export async function canChangePassword(
  app: Pick<App, 'config' | 'database' | 'directory'>,
  { userId }: Pick<AllSessions, 'userId'>,
): Promise<boolean> {
  if (app.config.sign_in.passwords === 'disabled') return false
  const user = await findUser(app.database, userId)
  return user !== undefined && user.password_hash !== null && !(app.directory && user.in_directory)
}
