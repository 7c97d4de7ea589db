import { sql } from 'kysely'
import type { Ulid } from '../../core/ulid.ts'
import type { Db } from '../engine/database.ts'
import { hasUlid, inPage, type UlidPage } from '../engine/ulid-pages.ts'
import type { UserRow } from '../schema/users.ts'
import { isCompatSession } from './compat-sessions.ts'

/** Which accounts a list has; null: any. */
export type AccountFilter = {
  admin: boolean | null
  guest: boolean | null
  /** A part of the localpart, in lower case. */
  search: string | null
  status: 'active' | 'locked' | 'deactivated' | null
  /** IDs of OAuth clients, of which one has a session of the user. */
  clientIds: readonly string[] | null
  hasOAuthSession: boolean | null
  hasCompatSession: boolean | null
}

const time = sql`users.created_ts`
const key = sql`users.user_id`

/** Returns a page of the accounts. */
export async function listAccounts(db: Db, filter: AccountFilter, page: UlidPage): Promise<UserRow[]> {
  const { rows } = await sql<UserRow>`select users.* from users
    where ${matches(filter)} and ${inPage(time, key, page)}`.execute(db.sql)
  return rows
}

/** Returns how many accounts a list has. */
export async function countAccounts(db: Db, filter: AccountFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from users
    where ${matches(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns the account with a ULID. */
export async function findUserByUlid(db: Db, id: Ulid): Promise<UserRow | undefined> {
  const { rows } = await sql<UserRow>`select * from users where ${hasUlid(time, key, id)}`.execute(db.sql)
  return rows[0]
}

function matches(filter: AccountFilter) {
  const { search, status, clientIds } = filter
  const hasClient = sql`exists (select 1 from oauth_sessions where oauth_sessions.user_id = users.user_id
    and client_id = any(${clientIds ?? []}::text[]))`
  const hasOAuth = sql`exists (select 1 from oauth_sessions where oauth_sessions.user_id = users.user_id)`
  const hasCompat = sql`exists (select 1 from devices where devices.user_id = users.user_id and ${isCompatSession()})`
  const conditions = [
    sql`true`,
    ...(filter.admin === null ? [] : [sql`is_admin = ${filter.admin}::boolean`]),
    ...(filter.guest === null ? [] : [sql`is_guest = ${filter.guest}::boolean`]),
    ...(search === null ? [] : [sql`strpos(lower(substr(split_part(user_id, ':', 1), 2)), ${search}) > 0`]),
    ...(status === 'active' ? [sql`not locked and deactivated_ts is null`] : []),
    ...(status === 'locked' ? [sql`locked`] : []),
    ...(status === 'deactivated' ? [sql`deactivated_ts is not null`] : []),
    ...(clientIds === null ? [] : [hasClient]),
    ...(filter.hasOAuthSession === null ? [] : [sql`${hasOAuth} = ${filter.hasOAuthSession}::boolean`]),
    ...(filter.hasCompatSession === null ? [] : [sql`${hasCompat} = ${filter.hasCompatSession}::boolean`]),
  ]
  return sql.join(conditions, sql` and `)
}
