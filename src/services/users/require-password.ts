import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { findUser } from '../../storage/users/users.ts'
import { accountUrl } from './account-management.ts'

type Capabilities = Pick<App, 'database' | 'directory' | 'config'>

/** Returns whether a user has a password, here or in the LDAP directory, and may use it. */
export async function hasPassword(app: Capabilities, userId: UserId): Promise<boolean> {
  if (app.config.sign_in.passwords === 'disabled') return false
  const user = await findUser(app.database, userId)
  return Boolean(user?.password_hash || (app.directory && user?.in_directory))
}

/**
 * Throws M_FORBIDDEN for a user without a password, who could not complete an authentication by one. The account page
 * asks for the user's other proofs.
 */
export async function requirePassword(app: Capabilities, userId: UserId): Promise<void> {
  if (await hasPassword(app, userId)) return
  throw new ForbiddenError(`This account has no password. Do this on your account page instead: ${accountUrl(app)}`)
}
