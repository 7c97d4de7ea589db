import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { isStrictLocalpart, isWithin255Bytes, parseUserId, type UserId } from '../../core/ids.ts'
import { findUser } from '../../storage/users/users.ts'

/**
 * The user id that a chosen name stands for; capitals become small letters. Throws M_INVALID_USERNAME.
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

/** Throws M_USER_IN_USE when the name belongs to somebody, or did. */
export async function requireAvailable(app: Pick<App, 'database'>, userId: UserId): Promise<void> {
  if (await findUser(app.database, userId)) throw userInUse()
}

/** The name has an owner. */
export function userInUse(): MatrixError {
  return new MatrixError(400, 'M_USER_IN_USE', 'This user name is taken')
}

/** The user of this server that is meant by a user id or a localpart; undefined when it cannot be one of ours. */
export function localUserId(app: Pick<App, 'serverName'>, idOrLocalpart: string): UserId | undefined {
  const id = idOrLocalpart.startsWith('@') ? idOrLocalpart : `@${idOrLocalpart}:${app.serverName}`
  return parseUserId(id)?.serverName === app.serverName ? (id as UserId) : undefined
}

function invalidUsername(message: string): MatrixError {
  return new MatrixError(400, 'M_INVALID_USERNAME', message)
}
