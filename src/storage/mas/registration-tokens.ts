import { sql } from 'kysely'
import type { Ulid } from '../../core/ulid.ts'
import type { Db } from '../engine/database.ts'
import { hasUlid, inPage, type UlidPage } from '../engine/ulid-pages.ts'
import type { RegistrationTokenRow } from '../schema/users.ts'
import { isUsable } from '../users/registration-tokens.ts'

/** Which registration tokens a list has; null: any. */
export type RegistrationTokenFilter = {
  used: boolean | null
  revoked: boolean | null
  expired: boolean | null
  valid: boolean | null
  now: number
}

const time = sql`created_ts`
const key = sql`token`

/** Returns a page of the registration tokens. */
export async function pageRegistrationTokens(
  db: Db,
  filter: RegistrationTokenFilter,
  page: UlidPage,
): Promise<RegistrationTokenRow[]> {
  const { rows } = await sql<RegistrationTokenRow>`select * from registration_tokens
    where ${matches(filter)} and ${inPage(time, key, page)}`.execute(db.sql)
  return rows
}

/** Returns how many registration tokens a list has. */
export async function countRegistrationTokens(db: Db, filter: RegistrationTokenFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from registration_tokens
    where ${matches(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns the registration token with a ULID. */
export async function findRegistrationTokenByUlid(db: Db, id: Ulid): Promise<RegistrationTokenRow | undefined> {
  const { rows } = await sql<RegistrationTokenRow>`select * from registration_tokens
    where ${hasUlid(time, key, id)}`.execute(db.sql)
  return rows[0]
}

function matches({ used, revoked, expired, valid, now }: RegistrationTokenFilter) {
  const conditions = [
    sql`true`,
    ...(used === null ? [] : [sql`(uses_completed > 0) = ${used}::boolean`]),
    ...(revoked === null ? [] : [sql`(revoked_ts is not null) = ${revoked}::boolean`]),
    ...(expired === null ? [] : [sql`coalesce(expires_ts <= ${now}::bigint, false) = ${expired}::boolean`]),
    ...(valid === null ? [] : [sql`${isUsable(now)} = ${valid}::boolean`]),
  ]
  return sql.join(conditions, sql` and `)
}
