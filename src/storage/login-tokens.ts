import { sql } from 'kysely'
import type { UserId } from '../core/ids.ts'
import type { Tx } from './database.ts'

/** Adds a token that logs in its holder once; those that have expired by `now` go. */
export async function insertLoginToken(
  tx: Tx,
  token: { tokenHash: string; userId: UserId; expiresTs: number; now: number },
): Promise<void> {
  await sql`delete from login_tokens where expires_ts <= ${token.now}::bigint`.execute(tx.sql)
  await sql`insert into login_tokens (token_hash, user_id, expires_ts)
    values (${token.tokenHash}, ${token.userId}, ${token.expiresTs}::bigint)`.execute(tx.sql)
}

/** Uses a token up; undefined when it is not known, expired, or used already. */
export async function takeLoginToken(tx: Tx, tokenHash: string, now: number): Promise<UserId | undefined> {
  const { rows } = await sql<{ user_id: UserId; expires_ts: number }>`delete from login_tokens
    where token_hash = ${tokenHash} returning user_id, expires_ts`.execute(tx.sql)
  return rows[0] && rows[0].expires_ts > now ? rows[0].user_id : undefined
}

/** Ends all login tokens of a user. */
export async function deleteLoginTokens(tx: Tx, userId: UserId): Promise<void> {
  await sql`delete from login_tokens where user_id = ${userId}`.execute(tx.sql)
}
