import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** The second factors of a user: whether there is a confirmed TOTP secret, and the numbers of the others. */
export type SecondFactorCounts = { totp: boolean; passkeys: number; recoveryCodes: number }

/** Returns the second factors of a user. */
export async function countSecondFactors(db: Db, userId: UserId): Promise<SecondFactorCounts> {
  const { rows } = await sql<{ totp: boolean; passkeys: number; recovery_codes: number }>`select
    exists (select 1 from totp_secrets where user_id = ${userId} and secret is not null) as totp,
    (select count(*)::int from passkeys where user_id = ${userId}) as passkeys,
    (select count(*)::int from recovery_codes where user_id = ${userId}) as recovery_codes`.execute(db.sql)
  const { totp, passkeys, recovery_codes: recoveryCodes } = rows[0]!
  return { totp, passkeys, recoveryCodes }
}

/** Deletes all second factors of a user, with the recovery codes and a set-up that was not finished. */
export async function deleteSecondFactors(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('totp_secrets').where('user_id', '=', userId).execute()
  await tx.sql.deleteFrom('passkeys').where('user_id', '=', userId).execute()
  await tx.sql.deleteFrom('recovery_codes').where('user_id', '=', userId).execute()
}
