import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { ThreepidRow, ThreepidSessionRow } from '../schema/third-party-ids.ts'
import type { UserRow } from '../schema/users.ts'

/** A third-party identifier; `address` in its canonical form. */
export type Threepid = Pick<ThreepidRow, 'medium' | 'address'>

/** Returns a user's third-party identifiers, the oldest first. */
export async function loadThreepids(db: Db, userId: UserId): Promise<ThreepidRow[]> {
  const { rows } = await sql<ThreepidRow>`select * from threepids where user_id = ${userId}
    order by added_ts, address`.execute(db.sql)
  return rows
}

/** Returns the owner of an address; undefined if there is none. */
export async function findThreepidOwner(db: Db, { medium, address }: Threepid): Promise<UserId | undefined> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from threepids
    where medium = ${medium} and address = ${address}`.execute(db.sql)
  return rows[0]?.user_id
}

/** Returns the user with an address; undefined if there is none. */
export async function findThreepidUser(db: Db, { medium, address }: Threepid): Promise<UserRow | undefined> {
  const { rows } = await sql<UserRow>`select users.* from users join threepids using (user_id)
    where medium = ${medium} and address = ${address}`.execute(db.sql)
  return rows[0]
}

/** To whom mails to a user go, in which language, and whether the user wants those about sign-ins. */
export type MailRecipient = Pick<UserRow, 'language' | 'sign_in_mails'> & { addresses: string[] }

/** Returns the e-mail addresses of a user with the settings of mails; undefined if there is no such user. */
export async function loadMailRecipient(db: Db, userId: UserId): Promise<MailRecipient | undefined> {
  const { rows } = await sql<MailRecipient>`select language, sign_in_mails,
      coalesce(array_agg(address order by added_ts, address) filter (where address is not null), '{}') as addresses
    from users left join threepids on threepids.user_id = users.user_id and medium = 'email'
    where users.user_id = ${userId} group by users.user_id`.execute(db.sql)
  return rows[0]
}

/** Adds an address to a user; false if it belongs to another. */
export async function insertThreepid(tx: Tx, threepid: ThreepidRow): Promise<boolean> {
  const { medium, address, user_id, validated_ts, added_ts } = threepid
  const { rows } = await sql<{
    user_id: UserId
  }>`insert into threepids (medium, address, user_id, validated_ts, added_ts)
    values (${medium}, ${address}, ${user_id}, ${validated_ts}::bigint, ${added_ts}::bigint)
    on conflict (medium, address) do update set address = excluded.address returning user_id`.execute(tx.sql)
  return rows[0]?.user_id === user_id
}

/** Deletes an address of a user, and the mail notifications to it; false if the user does not have the address. */
export async function deleteThreepid(tx: Tx, userId: UserId, { medium, address }: Threepid): Promise<boolean> {
  const { numAffectedRows } = await sql`delete from threepids
    where user_id = ${userId} and medium = ${medium} and address = ${address}`.execute(tx.sql)
  const isDeleted = numAffectedRows === 1n
  if (medium !== 'email') return isDeleted
  await sql`delete from pushers where user_id = ${userId} and kind = 'email' and pushkey = ${address}`.execute(tx.sql)
  return isDeleted
}

/** Deletes all addresses of a user. */
export async function deleteAllThreepids(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('threepids').where('user_id', '=', userId).execute()
}

/** Finds a pending validation session of an address, by purpose and requester. */
export async function findThreepidSession(
  db: Db,
  { purpose, medium, address, client_secret, user_id }: ThreepidSessionKey,
  now: number,
): Promise<ThreepidSessionRow | undefined> {
  const { rows } = await sql<ThreepidSessionRow>`select * from threepid_sessions
    where purpose = ${purpose} and medium = ${medium} and address = ${address} and client_secret = ${client_secret}
      and user_id = ${user_id} and expires_ts > ${now}::bigint`.execute(db.sql)
  return rows[0]
}

type ThreepidSessionKey = Pick<ThreepidSessionRow, 'purpose' | 'medium' | 'address' | 'client_secret' | 'user_id'>

/**
 * Stores a pending validation session, which replaces an older one for the same address; deletes those that have
 * expired by `now`.
 */
export async function storeThreepidSession(
  tx: Tx,
  session: Omit<ThreepidSessionRow, 'validated_ts' | 'failed_attempts'>,
  now: number,
): Promise<void> {
  await tx.sql.deleteFrom('threepid_sessions').where('expires_ts', '<=', now).execute()
  await sql`insert into threepid_sessions (session_id, purpose, medium, address, client_secret, user_id, token_hash, send_attempt, next_link, expires_ts)
    values (${session.session_id}, ${session.purpose}, ${session.medium}, ${session.address}, ${session.client_secret},
      ${session.user_id}, ${session.token_hash}, ${session.send_attempt}::bigint, ${session.next_link}, ${session.expires_ts}::bigint)
    on conflict (purpose, medium, address, client_secret, user_id) do update set session_id = excluded.session_id,
      token_hash = excluded.token_hash, send_attempt = excluded.send_attempt, next_link = excluded.next_link,
      validated_ts = null, failed_attempts = 0, expires_ts = excluded.expires_ts`.execute(tx.sql)
}

/** Finds the session of a link, if it has not expired. */
export async function findLinkedSession(
  db: Db,
  { sessionId, tokenHash, now }: { sessionId: string; tokenHash: string; now: number },
): Promise<ThreepidSessionRow | undefined> {
  const { rows } = await sql<ThreepidSessionRow>`select * from threepid_sessions
    where session_id = ${sessionId} and token_hash = ${tokenHash} and expires_ts > ${now}::bigint`.execute(db.sql)
  return rows[0]
}

/**
 * Validates the session of a phone number if this is the hash of its code, and returns whether it is; otherwise counts a
 * failed attempt. After `most` of them, no code is right.
 */
export async function tryCode(
  tx: Tx,
  code: { sessionId: string; clientSecret: string; tokenHash: string; most: number; now: number },
): Promise<boolean> {
  const { rows } = await sql<{ is_right: boolean }>`update threepid_sessions set
      validated_ts = case when token_hash = ${code.tokenHash} then coalesce(validated_ts, ${code.now}::bigint)
        else validated_ts end,
      failed_attempts = failed_attempts + (token_hash <> ${code.tokenHash})::int
    where session_id = ${code.sessionId} and client_secret = ${code.clientSecret} and medium = 'msisdn'
      and failed_attempts < ${code.most}::int and expires_ts > ${code.now}::bigint
    returning token_hash = ${code.tokenHash} as is_right`.execute(tx.sql)
  return rows[0]?.is_right ?? false
}

/** Marks a session as validated: its link was opened. */
export async function markThreepidValidated(tx: Tx, sessionId: string, now: number): Promise<void> {
  await sql`update threepid_sessions set validated_ts = coalesce(validated_ts, ${now}::bigint)
    where session_id = ${sessionId}`.execute(tx.sql)
}

type ProvenThreepid = Threepid & { validated_ts: number; user_id: UserId | '' }

/**
 * Uses up a session: returns the address and the account it is for ('': any); undefined if its link was not opened, or
 * if secret or purpose differ.
 */
export async function takeThreepidSession(
  tx: Tx,
  { sessionId, clientSecret, purpose, now }: { sessionId: string; clientSecret: string; purpose: string; now: number },
): Promise<ProvenThreepid | undefined> {
  const { rows } = await sql<ProvenThreepid>`delete from threepid_sessions
    where session_id = ${sessionId} and client_secret = ${clientSecret} and purpose = ${purpose}
      and validated_ts is not null and expires_ts > ${now}::bigint returning medium, address, validated_ts, user_id`.execute(
    tx.sql,
  )
  return rows[0]
}

/** Ends the pending validation sessions for an account. */
export async function deleteThreepidSessions(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('threepid_sessions').where('user_id', '=', userId).execute()
}
