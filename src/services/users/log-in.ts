import type { App } from '../../app.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import type { ServerName, UserId } from '../../core/ids.ts'
import type { Tx } from '../../storage/engine/database.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { findLoginTokenUser, takeLoginToken } from '../../storage/users/login-tokens.ts'
import { findUser, lockUser } from '../../storage/users/users.ts'
import { refuseExpired } from './account-validity.ts'
import { checkSignIn } from './check-for-spam.ts'
import { checkPassword, type PasswordCapabilities } from './check-password.ts'
import { type LoginDevice, logInDevice } from './device-login.ts'
import { type AccountIdentifier, findAccount } from './find-account.ts'
import type { NoticeCapabilities } from './mail/account-notices.ts'
import { requireNoSecondFactor } from './second-factor-policy.ts'
import { hashToken } from './tokens.ts'

/** The response of `/login` and `/register`. */
export type LoginResult = Awaited<ReturnType<typeof logInDevice>> & {
  user_id: UserId
  /** Deprecated, but old clients require it. */
  home_server: ServerName
}

/** The components that a login uses. */
export type LogInCapabilities = Pick<App, 'database' | 'passwordHasher' | 'logger' | 'spamChecks'> & NoticeCapabilities

/**
 * Logs in with a password. Throws M_USER_LOCKED, M_FORBIDDEN, also for unknown and deactivated accounts, so that the
 * response reveals no account, and as checkPassword. An account with a second factor is only named as
 * such to a client that knows the password.
 */
export async function logInWithPassword(
  app: LogInCapabilities & PasswordCapabilities,
  { identifier, password, device }: { identifier: AccountIdentifier; password: string; device: LoginDevice },
): Promise<LoginResult> {
  const account = await findAccount(app, identifier)
  const user = await checkPassword(app, account, password)
  if (!user || isGone(user)) throw new ForbiddenError('Invalid user name or password')
  return openSession(app, user, device, (tx) => requireNoSecondFactor(app, tx, user))
}

/** Logs in with a login token of another session or of single sign-on. Throws as logInWithPassword. */
export async function logInWithToken(
  app: LogInCapabilities,
  { token, device }: { token: string; device: LoginDevice },
): Promise<LoginResult> {
  const tokenHash = hashToken(token)
  const userId = await findLoginTokenUser(app.database, tokenHash)
  const user = userId && (await findUser(app.database, userId))
  if (!user || isGone(user)) throw invalidToken()
  const login = { ...device }
  return openSession(app, user, login, async (tx) => {
    const taken = await takeLoginToken(tx, tokenHash, app.clock.now())
    if (!taken) throw invalidToken()
    login.upstreamSessionNid = taken.upstream_session_nid
  })
}

/**
 * Logs in a user who was found and proven just now. `prove`: the condition that must hold while the user is locked, so
 * that no logout intervenes. Throws M_USER_LOCKED, ExpiredAccountError, M_FORBIDDEN if the account has
 * changed, and refusals of the spam check.
 */
export async function openSession(
  app: LogInCapabilities,
  user: UserRow,
  device: LoginDevice,
  prove?: (tx: Tx) => Promise<void>,
): Promise<LoginResult> {
  if (user.locked) {
    throw new MatrixError(401, 'M_USER_LOCKED', 'This account has been locked', { soft_logout: true })
  }
  await refuseExpired(app, user)
  const userId = user.user_id
  await checkSignIn(app, { userId, device })
  const tokens = await app.database.write(async (tx) => {
    await requireUnchanged(tx, user)
    await prove?.(tx)
    return logInDevice(app, tx, { userId, device })
  })
  return { user_id: userId, home_server: app.serverName, ...tokens }
}

/** Throws if the password changed or the account was deactivated during the check. */
async function requireUnchanged(tx: Tx, checked: UserRow): Promise<void> {
  await lockUser(tx, checked.user_id)
  const user = await findUser(tx, checked.user_id)
  if (!user || isGone(user) || user.password_hash !== checked.password_hash) {
    throw new ForbiddenError('The account has changed since it was checked')
  }
}

function invalidToken(): ForbiddenError {
  return new ForbiddenError('Invalid login token')
}

function isGone(user: UserRow): boolean {
  return user.deactivated_ts !== null
}
