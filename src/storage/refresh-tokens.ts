import { sql } from 'kysely'
import type { Tx } from './database.ts'
import type { Tables } from './schema.ts'

type RefreshToken = Tables['refresh_tokens']

/** Finds a refresh token and keeps others from using it until the transaction ends. */
export async function lockRefreshToken(tx: Tx, tokenHash: string): Promise<RefreshToken | undefined> {
  const { rows } =
    await sql<RefreshToken>`select * from refresh_tokens where token_hash = ${tokenHash} for update`.execute(tx.sql)
  return rows[0]
}

/** Adds a refresh token; the device must exist. */
export async function insertRefreshToken(tx: Tx, token: RefreshToken): Promise<void> {
  await sql`insert into refresh_tokens (token_hash, user_id, device_id, replaces)
    values (${token.token_hash}, ${token.user_id}, ${token.device_id}, ${token.replaces})`.execute(tx.sql)
}

/** A token or its access token has been used: what it replaces ends, access token included. */
export async function confirmRefreshToken(tx: Tx, tokenHash: string): Promise<void> {
  await sql`delete from refresh_tokens where token_hash = (select replaces from refresh_tokens where token_hash = ${tokenHash})`.execute(
    tx.sql,
  )
  await sql`update refresh_tokens set replaces = null where token_hash = ${tokenHash}`.execute(tx.sql)
}

/** Ends what was given out for a token before and has not been used: the client asks again because the answer was lost. */
export async function deleteUnusedSuccessors(tx: Tx, tokenHash: string): Promise<void> {
  await sql`delete from refresh_tokens where replaces = ${tokenHash}`.execute(tx.sql)
}
