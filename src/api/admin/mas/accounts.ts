import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { type Ulid, ulidOf } from '../../../core/ulid.ts'
import { findUserByUlid } from '../../../storage/mas/users.ts'
import type { UserRow } from '../../../storage/schema/users.ts'

/** Returns the ULID of a user. */
export function ulidOfUser({ user_id, created_ts }: Pick<UserRow, 'user_id' | 'created_ts'>): Ulid {
  return ulidOf(created_ts, user_id)
}

/** Returns the account with a ULID. Throws M_NOT_FOUND. */
export async function requireAccount({ database }: Pick<App, 'database'>, id: Ulid): Promise<UserRow> {
  const user = await findUserByUlid(database, id)
  if (!user) throw new NotFoundError(`User ID ${id} not found`)
  return user
}

/** Returns the user of a filter; null: any. Throws M_NOT_FOUND. */
export async function filteredUser(
  app: Pick<App, 'database'>,
  id: Ulid | undefined,
): Promise<UserRow['user_id'] | null> {
  return id === undefined ? null : (await requireAccount(app, id)).user_id
}

/** Names the user of a request for the audit log. */
export async function auditedUser(app: Pick<App, 'database'>, id: Ulid): Promise<string | undefined> {
  return (await findUserByUlid(app.database, id))?.user_id
}
