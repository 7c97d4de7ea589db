import { sql } from 'kysely'
import type { UserId } from '../core/ids.ts'
import type { Tx } from './database.ts'

/** Adds a proof of who its holder is, for others to check; those that have expired by `now` go. */
export async function insertOpenIdToken(
  tx: Tx,
  token: { tokenHash: string; userId: UserId; expiresTs: number; now: number },
): Promise<void> {
  await sql`delete from openid_tokens where expires_ts <= ${token.now}::bigint`.execute(tx.sql)
  await sql`insert into openid_tokens (token_hash, user_id, expires_ts)
    values (${token.tokenHash}, ${token.userId}, ${token.expiresTs}::bigint)`.execute(tx.sql)
}

/** Ends all of a user's proofs. */
export async function deleteOpenIdTokens(tx: Tx, userId: UserId): Promise<void> {
  await sql`delete from openid_tokens where user_id = ${userId}`.execute(tx.sql)
}
