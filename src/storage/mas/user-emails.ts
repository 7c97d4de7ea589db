import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Ulid } from '../../core/ulid.ts'
import type { Db } from '../engine/database.ts'
import { hasUlid, inPage, type UlidPage } from '../engine/ulid-pages.ts'

/** An e-mail address of a user. */
export type UserEmail = { address: string; user_id: UserId; user_created_ts: number; added_ts: number }

/** Which addresses a list has; null: any. `address` in its canonical form. */
export type UserEmailFilter = { userId: UserId | null; address: string | null }

const time = sql`threepids.added_ts`
const key = sql`threepids.address`

/** Returns a page of the addresses. */
export async function listUserEmails(db: Db, filter: UserEmailFilter, page: UlidPage): Promise<UserEmail[]> {
  const { rows } = await sql<UserEmail>`${emails()} where medium = 'email' and ${matches(filter)}
    and ${inPage(time, key, page)}`.execute(db.sql)
  return rows
}

/** Returns how many addresses a list has. */
export async function countUserEmails(db: Db, filter: UserEmailFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from threepids
    where medium = 'email' and ${matches(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns the address with a ULID. */
export async function findUserEmail(db: Db, id: Ulid): Promise<UserEmail | undefined> {
  const { rows } = await sql<UserEmail>`${emails()} where medium = 'email'
    and ${hasUlid(time, key, id)}`.execute(db.sql)
  return rows[0]
}

function emails() {
  return sql`select address, threepids.user_id, users.created_ts as user_created_ts, added_ts
    from threepids join users using (user_id)`
}

function matches({ userId, address }: UserEmailFilter) {
  const conditions = [
    sql`true`,
    ...(userId === null ? [] : [sql`threepids.user_id = ${userId}`]),
    ...(address === null ? [] : [sql`address = ${address}`]),
  ]
  return sql.join(conditions, sql` and `)
}
