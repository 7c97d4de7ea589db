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
    and (uses_allowed is null or uses_completed < uses_allowed) and (expires_ts is null or expires_ts > ${now}::bigint)`.execute(
    db.sql,
  )
  return rows.length === 1
}

/** Counts one use of a token; false if it is not usable. */
export async function takeRegistrationToken(tx: Tx, token: string, now: number): Promise<boolean> {
  const result = await sql`update registration_tokens set uses_completed = uses_completed + 1 where token = ${token}
    and (uses_allowed is null or uses_completed < uses_allowed) and (expires_ts is null or expires_ts > ${now}::bigint)`.execute(
    tx.sql,
  )
  return result.numAffectedRows === 1n
}
