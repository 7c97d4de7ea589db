import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { isStrictLocalpart, isWithin255Bytes, parseUserId, type UserId } from '../../core/ids.ts'
import { findUser } from '../../storage/users/users.ts'

/**
 * Returns the user ID for a chosen name, in lower case. Throws M_INVALID_USERNAME.
 * https://spec.matrix.org/v1.19/appendices/#user-identifiers
 */
export function userIdForNewName(app: Pick<App, 'serverName'>, name: string): UserId {
  const localpart = name.toLowerCase()
  const userId = `@${localpart}:${app.serverName}`
  if (!isStrictLocalpart(localpart)) {
    throw invalidUsername('User names can only contain the letters a-z, digits and the characters . _ = - / +')
  }
  if (!isWithin255Bytes(userId)) throw invalidUsername('This user name is too long')
  return userId as UserId
}

/** Throws M_USER_IN_USE if the name belongs or belonged to an account. */
export async function requireAvailable(app: Pick<App, 'database'>, userId: UserId): Promise<void> {
  if (await findUser(app.database, userId)) throw userInUse()
}

/** Returns the error for a name in use. */
export function userInUse(): MatrixError {
  return new MatrixError(400, 'M_USER_IN_USE', 'This user name is taken')
}

/** Returns the local user named by a user ID or a localpart; undefined if it cannot be one. */
export function localUserId(app: Pick<App, 'serverName'>, idOrLocalpart: string): UserId | undefined {
  const id = idOrLocalpart.startsWith('@') ? idOrLocalpart : `@${idOrLocalpart}:${app.serverName}`
  return parseUserId(id)?.serverName === app.serverName ? (id as UserId) : undefined
}

function invalidUsername(message: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_USERNAME', message)
}
