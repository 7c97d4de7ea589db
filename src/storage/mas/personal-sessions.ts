import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Ulid } from '../../core/ulid.ts'
import type { Db } from '../engine/database.ts'
import { hasUlid, inPage, type UlidPage } from '../engine/ulid-pages.ts'
import type { PersonalToken } from '../users/personal-tokens.ts'

/** A personal token in a list. */
export type PersonalSession = PersonalToken & { user_created_ts: number; last_active_ip: string | null }

/** Which personal tokens a list has; null: any. */
export type PersonalSessionFilter = {
  userId: UserId | null
  /** Scope tokens that it has, all of them. */
  scopes: readonly string[]
  expires: boolean | null
  expiresBefore: number | null
  expiresAfter: number | null
}

const time = sql`personal.created_ts`
const key = sql`personal.token_id`

/** Returns a page of the personal tokens. */
export async function listPersonalSessions(
  db: Db,
  filter: PersonalSessionFilter,
  page: UlidPage,
): Promise<PersonalSession[]> {
  const { rows } = await sql<PersonalSession>`${tokens()} where ${matches(filter)}
    and ${inPage(time, key, page)}`.execute(db.sql)
  return rows
}

/** Returns how many personal tokens a list has. */
export async function countPersonalSessions(db: Db, filter: PersonalSessionFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count
    from personal_tokens personal join access_tokens token using (token_hash)
    where ${matches(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns the personal token with a ULID. */
export async function findPersonalSession(db: Db, id: Ulid): Promise<PersonalSession | undefined> {
  const { rows } = await sql<PersonalSession>`${tokens()} where ${hasUlid(time, key, id)}`.execute(db.sql)
  return rows[0]
}

function tokens() {
  return sql`select token_id, personal.user_id, users.created_ts as user_created_ts, name, personal.created_ts,
      token.device_id, scope, expires_ts, last_used_ts, last_seen_ip as last_active_ip
    from personal_tokens personal join access_tokens token using (token_hash)
      join users on users.user_id = personal.user_id
      left join devices on devices.user_id = token.user_id and devices.device_id = token.device_id`
}

function matches(filter: PersonalSessionFilter) {
  const { userId, scopes, expiresBefore, expiresAfter } = filter
  const conditions = [
    sql`true`,
    ...(userId === null ? [] : [sql`personal.user_id = ${userId}`]),
    ...(scopes.length === 0 ? [] : [sql`string_to_array(scope, ' ') @> ${scopes}::text[]`]),
    ...(filter.expires === null ? [] : [sql`(expires_ts is not null) = ${filter.expires}::boolean`]),
    ...(expiresBefore === null ? [] : [sql`expires_ts < ${expiresBefore}::bigint`]),
    ...(expiresAfter === null ? [] : [sql`expires_ts > ${expiresAfter}::bigint`]),
  ]
  return sql.join(conditions, sql` and `)
}
