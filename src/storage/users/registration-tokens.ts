import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { RegistrationTokenRow } from '../schema/users.ts'

/** Adds a token and returns it; undefined if it exists. */
export async function insertRegistrationToken(
  tx: Tx,
  { token, uses_allowed, created_ts, expires_ts }: NewRegistrationTokenRow,
): Promise<RegistrationTokenRow | undefined> {
  const { rows } = await sql<RegistrationTokenRow>`insert into registration_tokens
      (token, uses_allowed, created_ts, expires_ts)
    values (${token}, ${uses_allowed}::int, ${created_ts}::bigint, ${expires_ts}::bigint)
    on conflict (token) do nothing returning *`.execute(tx.sql)
  return rows[0]
}

type NewRegistrationTokenRow = Pick<RegistrationTokenRow, 'token' | 'uses_allowed' | 'created_ts' | 'expires_ts'>

/** Whether a token is usable now. */
export async function isRegistrationTokenUsable(db: Db, token: string, now: number): Promise<boolean> {
  const { rows } = await sql`select 1 from registration_tokens where token = ${token}
    and ${isUsable(now)}`.execute(db.sql)
  return rows.length === 1
}

/** Counts one use of a token; false if it is not usable. */
export async function takeRegistrationToken(tx: Tx, token: string, now: number): Promise<boolean> {
  const result = await sql`update registration_tokens set uses_completed = uses_completed + 1,
      last_used_ts = ${now}::bigint
    where token = ${token} and ${isUsable(now)}`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/**
 * Returns registration tokens by name, at most `limit` from a place on; `valid`: only those that are usable at `now`, or
 * only the others.
 */
export async function listRegistrationTokens(
  db: Db,
  { valid, now, from = 0, limit }: { valid: boolean | null; now: number; from?: number; limit: number },
): Promise<RegistrationTokenRow[]> {
  const { rows } = await sql<RegistrationTokenRow>`select * from registration_tokens
    ${valid === null ? sql`` : sql`where ${isUsable(now)} = ${valid}::boolean`}
    order by token limit ${limit}::int offset ${from}::bigint`.execute(db.sql)
  return rows
}

/** Finds a registration token. */
export async function findRegistrationToken(db: Db, token: string): Promise<RegistrationTokenRow | undefined> {
  return db.sql.selectFrom('registration_tokens').selectAll().where('token', '=', token).executeTakeFirst()
}

/** The columns of a token that an administrator changes; absent ones stay. */
export type RegistrationTokenChange = Partial<Pick<RegistrationTokenRow, 'uses_allowed' | 'expires_ts' | 'revoked_ts'>>

/** Changes a token, and returns it; undefined if there is none. */
export async function updateRegistrationToken(
  tx: Tx,
  token: string,
  { uses_allowed, expires_ts, revoked_ts }: RegistrationTokenChange,
): Promise<RegistrationTokenRow | undefined> {
  const { rows } = await sql<RegistrationTokenRow>`update registration_tokens set
      uses_allowed = case when ${uses_allowed === undefined}::boolean then uses_allowed else ${uses_allowed ?? null}::int end,
      expires_ts = case when ${expires_ts === undefined}::boolean then expires_ts else ${expires_ts ?? null}::bigint end,
      revoked_ts = case when ${revoked_ts === undefined}::boolean then revoked_ts else ${revoked_ts ?? null}::bigint end
    where token = ${token} returning *`.execute(tx.sql)
  return rows[0]
}

/** Deletes a token; false if there is none. */
export async function deleteRegistrationToken(tx: Tx, token: string): Promise<boolean> {
  const { numAffectedRows } = await sql`delete from registration_tokens where token = ${token}`.execute(tx.sql)
  return numAffectedRows === 1n
}

/** The condition that a token is usable at a time. */
export function isUsable(now: number) {
  return sql`(revoked_ts is null and (uses_allowed is null or uses_completed < uses_allowed)
    and (expires_ts is null or expires_ts > ${now}::bigint))`
}
