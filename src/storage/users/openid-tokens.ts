import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** Adds an OpenID token, with which third parties verify a user; deletes those that have expired by `now`. */
export async function insertOpenIdToken(
  tx: Tx,
  token: { tokenHash: string; userId: UserId; expiresTs: number; now: number },
): Promise<void> {
  await tx.sql.deleteFrom('openid_tokens').where('expires_ts', '<=', token.now).execute()
  await sql`insert into openid_tokens (token_hash, user_id, expires_ts)
    values (${token.tokenHash}, ${token.userId}, ${token.expiresTs}::bigint)`.execute(tx.sql)
}

/** Returns the user of an OpenID token that has not expired. */
export async function findOpenIdTokenUser(db: Db, tokenHash: string, now: number): Promise<UserId | undefined> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from openid_tokens
    where token_hash = ${tokenHash} and expires_ts > ${now}::bigint`.execute(db.sql)
  return rows[0]?.user_id
}

/** Deletes all OpenID tokens of a user. */
export async function deleteOpenIdTokens(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('openid_tokens').where('user_id', '=', userId).execute()
}
