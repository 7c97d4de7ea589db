import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** A user whose account expires. */
export type ExpiringUser = { user_id: UserId; valid_until_ts: number; language: string | null }

/** Lets accounts that have no end of their validity yet expire at `until`; returns how many, at most `limit`. */
export async function limitValidity(tx: Tx, { until, limit }: { until: number; limit: number }): Promise<number> {
  const { numAffectedRows } = await sql`update users set valid_until_ts = ${until}::bigint
    where user_id in (select user_id from users where valid_until_ts is null and deactivated_ts is null
      and not is_guest and renewal_mailed_ts is null limit ${limit}::int for update skip locked)`.execute(tx.sql)
  return Number(numAffectedRows)
}

/** Takes accounts that expire before `before` and whose users have got no mail about it, at most `limit`. */
export async function takeExpiringUsers(
  tx: Tx,
  { before, limit, now }: { before: number; limit: number; now: number },
): Promise<ExpiringUser[]> {
  const { rows } = await sql<ExpiringUser>`update users set renewal_mailed_ts = ${now}::bigint
    where user_id in (select user_id from users where valid_until_ts <= ${before}::bigint and deactivated_ts is null
      and not is_guest and renewal_mailed_ts is null limit ${limit}::int for update skip locked)
    returning user_id, valid_until_ts, language`.execute(tx.sql)
  return rows
}

/** Marks that a user gets a mail now; undefined if the last one was sent after `since`. */
export async function noteRenewalMail(
  tx: Tx,
  userId: UserId,
  { now, since }: { now: number; since: number },
): Promise<ExpiringUser | undefined> {
  const { rows } = await sql<ExpiringUser>`update users set renewal_mailed_ts = ${now}::bigint
    where user_id = ${userId} and valid_until_ts is not null and deactivated_ts is null
      and (renewal_mailed_ts is null or renewal_mailed_ts <= ${since}::bigint)
    returning user_id, valid_until_ts, language`.execute(tx.sql)
  return rows[0]
}

/**
 * Sets the end of an account's validity, and ends the link that renews it; false for an unknown or deactivated user.
 * `mails`: whether the user is notified before that end.
 */
export async function updateValidity(
  tx: Tx,
  userId: UserId,
  { until, mails, now }: { until: number; mails: boolean; now: number },
): Promise<boolean> {
  const { numAffectedRows } = await sql`update users set valid_until_ts = ${until}::bigint,
      renewal_mailed_ts = ${mails ? null : now}::bigint
    where user_id = ${userId} and deactivated_ts is null`.execute(tx.sql)
  await deleteRenewalToken(tx, userId)
  return numAffectedRows === 1n
}

/** Ends the link that renews an account. */
export async function deleteRenewalToken(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('account_renewals').where('user_id', '=', userId).execute()
}

/** Stores the token of a link that renews an account, which replaces an older one. */
export async function storeRenewalToken(tx: Tx, userId: UserId, tokenHash: string): Promise<void> {
  await sql`insert into account_renewals (user_id, token_hash) values (${userId}, ${tokenHash})
    on conflict (user_id) do update set token_hash = excluded.token_hash`.execute(tx.sql)
}

/** Returns the user whose account a link renews; undefined for an unknown or used one. */
export async function findRenewal(db: Db, tokenHash: string): Promise<ExpiringUser | undefined> {
  const { rows } = await sql<ExpiringUser>`select user_id, valid_until_ts, language
    from account_renewals join users using (user_id)
    where account_renewals.token_hash = ${tokenHash} and deactivated_ts is null and valid_until_ts is not null`.execute(
    db.sql,
  )
  return rows[0]
}
