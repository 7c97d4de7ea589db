import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'

/** Replaces the recovery codes of a user by new ones. */
export async function replaceRecoveryCodes(tx: Tx, userId: UserId, codeHashes: readonly string[]): Promise<void> {
  await tx.sql.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
  await sql`insert into recovery_codes (user_id, code_hash)
    select ${userId}, code_hash from unnest(${codeHashes}::text[]) as codes(code_hash)`.execute(tx.sql)
}

/** Uses a recovery code; false if it is unknown or was used. */
export async function takeRecoveryCodeHash(tx: Tx, userId: UserId, codeHash: string): Promise<boolean> {
  const result = await sql`delete from recovery_codes
    where user_id = ${userId} and code_hash = ${codeHash}`.execute(tx.sql)
  return result.numAffectedRows === 1n
}
