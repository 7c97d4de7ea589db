import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'

/** Adds a nonce for registration by shared secret; deletes those that have expired by `now`. */
export async function insertRegistrationNonce(
  tx: Tx,
  { nonce, expiresTs, now }: { nonce: string; expiresTs: number; now: number },
): Promise<void> {
  await tx.sql.deleteFrom('registration_nonces').where('expires_ts', '<=', now).execute()
  await tx.sql.insertInto('registration_nonces').values({ nonce, expires_ts: expiresTs }).execute()
}

/** Uses a nonce; false if it is unknown, expired or used. */
export async function takeRegistrationNonce(tx: Tx, nonce: string, now: number): Promise<boolean> {
  const { rows } = await sql<{ expires_ts: number }>`delete from registration_nonces where nonce = ${nonce}
    returning expires_ts`.execute(tx.sql)
  return rows[0] !== undefined && rows[0].expires_ts > now
}
