import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { RegistrationTokenRow } from '../schema/users.ts'

/** Adds a token; false if it exists. */
export async function insertRegistrationToken(
  tx: Tx,
  { token, uses_allowed, expires_ts }: Omit<RegistrationTokenRow, 'uses_completed'>,
): Promise<boolean> {
  const result = await sql`insert into registration_tokens (token, uses_allowed, expires_ts)
    values (${token}, ${uses_allowed}::int, ${expires_ts}::bigint) on conflict (token) do nothing`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Whether a token is usable now. */
export async function isRegistrationTokenUsable(db: Db, token: string, now: number): Promise<boolean> {
  const { rows } = await sql`select 1 from registration_tokens where token = ${token}
    and ${isUsable(now)}`.execute(db.sql)
  return rows.length === 1
}

/** Counts one use of a token; false if it is not usable. */
export async function takeRegistrationToken(tx: Tx, token: string, now: number): Promise<boolean> {
  const result = await sql`update registration_tokens set uses_completed = uses_completed + 1 where token = ${token}
    and ${isUsable(now)}`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/**
 * Returns registration tokens by name, at most `limit`; `valid`: only those that are usable at `now`, or only the
 * others.
 */
export async function listRegistrationTokens(
  db: Db,
  { valid, now, limit }: { valid: boolean | null; now: number; limit: number },
): Promise<RegistrationTokenRow[]> {
  const { rows } = await sql<RegistrationTokenRow>`select * from registration_tokens
    ${valid === null ? sql`` : sql`where ${isUsable(now)} = ${valid}::boolean`}
    order by token limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Finds a registration token. */
export async function findRegistrationToken(db: Db, token: string): Promise<RegistrationTokenRow | undefined> {
  return db.sql.selectFrom('registration_tokens').selectAll().where('token', '=', token).executeTakeFirst()
}

/** Changes the given limits of a token, and returns it; undefined if there is none. */
export async function updateRegistrationToken(
  tx: Tx,
  token: string,
  { uses_allowed, expires_ts }: Partial<Pick<RegistrationTokenRow, 'uses_allowed' | 'expires_ts'>>,
): Promise<RegistrationTokenRow | undefined> {
  const { rows } = await sql<RegistrationTokenRow>`update registration_tokens set
      uses_allowed = case when ${uses_allowed === undefined}::boolean then uses_allowed else ${uses_allowed ?? null}::int end,
      expires_ts = case when ${expires_ts === undefined}::boolean then expires_ts else ${expires_ts ?? null}::bigint end
    where token = ${token} returning *`.execute(tx.sql)
  return rows[0]
}

/** Deletes a token; false if there is none. */
export async function deleteRegistrationToken(tx: Tx, token: string): Promise<boolean> {
  const { numAffectedRows } = await sql`delete from registration_tokens where token = ${token}`.execute(tx.sql)
  return numAffectedRows === 1n
}

function isUsable(now: number) {
  return sql`((uses_allowed is null or uses_completed < uses_allowed)
    and (expires_ts is null or expires_ts > ${now}::bigint))`
}
