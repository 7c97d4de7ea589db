import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** Permits the replacement of a user's cross-signing keys until `allowedUntil`. */
export async function storeCrossSigningReset(tx: Tx, userId: UserId, allowedUntil: number): Promise<void> {
  await sql`insert into cross_signing_resets (user_id, allowed_until) values (${userId}, ${allowedUntil}::bigint)
    on conflict (user_id) do update set allowed_until = excluded.allowed_until`.execute(tx.sql)
}

/** Returns whether a user permits the replacement now. */
export async function isCrossSigningResetAllowed(db: Db, userId: UserId, now: number): Promise<boolean> {
  const { rows } = await sql`select 1 from cross_signing_resets
    where user_id = ${userId} and allowed_until > ${now}::bigint`.execute(db.sql)
  return rows.length > 0
}

/** Ends the permission. */
export async function deleteCrossSigningReset(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('cross_signing_resets').where('user_id', '=', userId).execute()
}
