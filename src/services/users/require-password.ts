import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { findUser } from '../../storage/users/users.ts'
import { accountUrl } from './account-management.ts'

/**
 * Throws M_FORBIDDEN for a user without a password, here or in the LDAP directory, who could not complete an
 * authentication by one. The account page asks for the user's other proofs.
 */
export async function requirePassword(
  app: Pick<App, 'database' | 'directory' | 'config'>,
  userId: UserId,
): Promise<void> {
  const user = await findUser(app.database, userId)
  if (user?.password_hash || (app.directory && user?.in_directory)) return
  throw new ForbiddenError(`This account has no password. Do this on your account page instead: ${accountUrl(app)}`)
}
