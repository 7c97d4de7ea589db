import { sql } from 'kysely'
import type { SigningKey } from '../../core/signing/signing-key.ts'
import type { Db, Tx } from '../engine/database.ts'

/** The server secret with the signing key, unless it is in a file. */
export const SIGNING_KEY_SECRET = 'signing_key'

/** A key of this server; `expired_ts` (milliseconds since 1970) is null for the current one. */
export type OwnKey = { key_id: string; public_key: string; expired_ts: number | null }

/** Returns all keys with which this server has signed. */
export async function loadOwnKeys(db: Db): Promise<OwnKey[]> {
  return db.sql.selectFrom('own_keys').selectAll().orderBy('key_id').execute()
}

/** Lets one transaction at a time, of all processes, change the keys. */
export async function lockOwnKeys(tx: Tx): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('own_keys'))`.execute(tx.sql)
}

/** Makes a key the current one; the previous one expires at `expiredTs`. */
export async function useOwnKey(
  tx: Tx,
  key: Pick<SigningKey, 'keyId' | 'publicKey'>,
  expiredTs: number,
): Promise<void> {
  await sql`update own_keys set expired_ts = ${expiredTs} where expired_ts is null and key_id <> ${key.keyId}`.execute(
    tx.sql,
  )
  await sql`insert into own_keys (key_id, public_key, expired_ts) values (${key.keyId}, ${key.publicKey}, null)
    on conflict (key_id) do update set public_key = excluded.public_key, expired_ts = null`.execute(tx.sql)
}
