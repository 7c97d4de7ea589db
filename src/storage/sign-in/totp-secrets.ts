import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { TotpSecretRow } from '../schema/sign-in.ts'

/** Returns the TOTP secret of a user, and one that the user has not confirmed. */
export async function findTotpSecret(db: Db, userId: UserId): Promise<TotpSecretRow | undefined> {
  return db.sql.selectFrom('totp_secrets').selectAll().where('user_id', '=', userId).executeTakeFirst()
}

/** Stores a secret that the user still has to confirm, in place of an earlier unconfirmed one. */
export async function storePendingTotpSecret(tx: Tx, userId: UserId, secret: string): Promise<void> {
  await sql`insert into totp_secrets (user_id, pending_secret) values (${userId}, ${secret})
    on conflict (user_id) do update set pending_secret = excluded.pending_secret`.execute(tx.sql)
}

/** Puts the unconfirmed secret into force; `step`: the time step of the code that confirmed it. */
export async function confirmTotpSecret(tx: Tx, userId: UserId, step: number): Promise<void> {
  await sql`update totp_secrets set secret = pending_secret, pending_secret = null, last_used_step = ${step}::bigint
    where user_id = ${userId} and pending_secret is not null`.execute(tx.sql)
}

/** Uses the code of a time step; false if it or a later one was used. */
export async function takeTotpStep(tx: Tx, userId: UserId, step: number): Promise<boolean> {
  const result = await sql`update totp_secrets set last_used_step = ${step}::bigint
    where user_id = ${userId} and secret is not null and last_used_step < ${step}::bigint`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Deletes the TOTP secret of a user; false if there was none in force. */
export async function deleteTotpSecret(tx: Tx, userId: UserId): Promise<boolean> {
  const { rows } = await sql<{ secret: string | null }>`delete from totp_secrets where user_id = ${userId}
    returning secret`.execute(tx.sql)
  return rows[0] !== undefined && rows[0].secret !== null
}
