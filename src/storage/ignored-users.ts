import { sql } from 'kysely'
import type { UserId } from '../core/ids.ts'
import type { Db } from './database.ts'

/** The users whose messages a user does not want to see. https://spec.matrix.org/v1.19/client-server-api/#ignoring-users */
export async function loadIgnoredUsers(db: Db, userId: UserId): Promise<ReadonlySet<string>> {
  const { rows } = await sql<{ content: string }>`select content from account_data
    where user_id = ${userId} and room_id = '' and type = 'm.ignored_user_list'`.execute(db.sql)
  return ignoredIn(rows[0] && JSON.parse(rows[0].content))
}

/** Nobody can ignore themselves. Clients may have stored anything. */
function ignoredIn(content: unknown): ReadonlySet<string> {
  const ignored = (content as { ignored_users?: unknown } | undefined)?.ignored_users
  return new Set(typeof ignored === 'object' && ignored !== null ? Object.keys(ignored) : [])
}
