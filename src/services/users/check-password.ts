import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import { isImportedHash } from '../../infra/users/password-hasher.ts'
import type { UserRow } from '../../storage/schema/users.ts'
import { findUser, renewPasswordHash } from '../../storage/users/users.ts'
import { checkInDirectory } from './directory-accounts.ts'
import type { NamedAccount } from './find-account.ts'

/** The components that a password check uses. */
export type PasswordCapabilities = Pick<
  App,
  'config' | 'serverName' | 'clock' | 'database' | 'passwordHasher' | 'rateLimiter' | 'directory' | 'logger'
>

/**
 * Returns the account that a name and a password belong to; undefined if the password is wrong. A user of the LDAP
 * directory without an account gets one. The account may be deactivated or locked.
 *
 * Every attempt counts against the account before the check, so that guesses are limited across endpoints, identifiers
 * and processes. Unknown accounts take as long. Throws M_LIMIT_EXCEEDED, 503 if the answer depends on a directory that
 * is unavailable, NoAccountError, and M_FORBIDDEN where passwords are disabled.
 */
export async function checkPassword(
  app: PasswordCapabilities,
  account: NamedAccount,
  password: string,
): Promise<UserRow | undefined> {
  if (app.config.sign_in.passwords === 'disabled') throw passwordsDisabled(app)
  if (account.countedAs !== undefined) await app.rateLimiter.take('login', account.countedAs)
  const matches = await app.passwordHasher.verify(account.user?.password_hash, password)
  if (matches && account.user) return withOwnHash(app, account.user, password)
  return app.directory && checkInDirectory(app, app.directory, { account, password })
}

/** Replaces an imported hash, now that the password is known. */
async function withOwnHash(
  app: Pick<App, 'database' | 'passwordHasher'>,
  user: UserRow,
  password: string,
): Promise<UserRow | undefined> {
  const old = user.password_hash
  if (old === null || !isImportedHash(old)) return user
  const hash = await app.passwordHasher.hash(password)
  const isRenewed = await app.database.write((tx) => renewPasswordHash(tx, { userId: user.user_id, old, hash }))
  if (isRenewed) return { ...user, password_hash: hash }
  // Another sign-in has replaced the hash, or the password has changed.
  const current = await findUser(app.database, user.user_id)
  return (await app.passwordHasher.verify(current?.password_hash, password)) ? current : undefined
}

function passwordsDisabled({ config }: Pick<App, 'config'>): ForbiddenError {
  return new ForbiddenError(`This server does not use passwords. Sign in at ${config.public_base_url}/login`)
}
