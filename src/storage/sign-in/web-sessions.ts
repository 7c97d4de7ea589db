import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { WebSessionRow } from '../schema/sign-in.ts'

/** A web session with what its user may do; exactly one of `user_id` and `pending_user_id` is set. */
export type WebSessionHolder = Pick<
  WebSessionRow,
  'cookie_hash' | 'user_id' | 'pending_user_id' | 'authenticated_ts' | 'last_seen_ts' | 'upstream_session_nid'
> & { is_admin: boolean; locked: boolean; suspended: boolean; valid_until_ts: number | null }

/** Finds the session of a cookie; undefined if it is unknown, has expired by `now`, or its user is deactivated. */
export async function findWebSession(
  db: Db,
  { cookieHash, now }: { cookieHash: string; now: number },
): Promise<WebSessionHolder | undefined> {
  const { rows } = await sql<WebSessionHolder>`select cookie_hash, web_sessions.user_id, pending_user_id,
      authenticated_ts, last_seen_ts, upstream_session_nid, is_admin, locked, suspended, valid_until_ts
    from web_sessions join users on users.user_id = coalesce(web_sessions.user_id, pending_user_id)
    where cookie_hash = ${cookieHash} and expires_ts > ${now}::bigint and deactivated_ts is null`.execute(db.sql)
  return rows[0]
}

/** How many browsers a user can be signed in with. */
const MOST_SESSIONS = 100

/**
 * Adds a session, and deletes those that have expired, and the one of its user that was unused for the longest time if
 * there are too many. Sessions that wait for a second step count by themselves: who has only the password signs nobody
 * out.
 */
export async function insertWebSession(tx: Tx, session: WebSessionRow): Promise<void> {
  await tx.sql.deleteFrom('web_sessions').where('expires_ts', '<=', session.created_ts).execute()
  await sql`delete from web_sessions where cookie_hash in (select cookie_hash from web_sessions
      where user_id = ${session.user_id} or pending_user_id = ${session.pending_user_id}
      order by last_seen_ts desc offset ${MOST_SESSIONS - 1})`.execute(tx.sql)
  await tx.sql.insertInto('web_sessions').values(session).execute()
}

/** Notes that a session was used, and extends it, unless another process has done so after `unlessSince`. */
export async function touchWebSession(
  tx: Tx,
  cookieHash: string,
  seen: { ip: string; userAgent: string | undefined; now: number; unlessSince: number; expiresTs: number },
): Promise<void> {
  await sql`update web_sessions set last_seen_ts = ${seen.now}::bigint, last_seen_ip = ${seen.ip},
      last_seen_user_agent = ${seen.userAgent ?? null}, expires_ts = ${seen.expiresTs}::bigint
    where cookie_hash = ${cookieHash} and last_seen_ts <= ${seen.unlessSince}::bigint`.execute(tx.sql)
}

type PendingSession = Pick<WebSessionRow, 'is_expected' | 'upstream_session_nid'>

/** Takes a session that waits for the second step of this user; undefined if there is none or it has expired. */
export async function takePendingSession(
  tx: Tx,
  { cookieHash, userId, now }: { cookieHash: string; userId: UserId; now: number },
): Promise<PendingSession | undefined> {
  const { rows } = await sql<PendingSession>`delete from web_sessions
    where cookie_hash = ${cookieHash} and pending_user_id = ${userId} and expires_ts > ${now}::bigint
    returning is_expected, upstream_session_nid`.execute(tx.sql)
  return rows[0]
}

/** Whether a session of a user exists; if so, it does not end before the transaction does. */
export async function holdWebSession(tx: Tx, cookieHash: string, userId: UserId): Promise<boolean> {
  const { rows } = await sql`select 1 from web_sessions
    where cookie_hash = ${cookieHash} and user_id = ${userId} for key share`.execute(tx.sql)
  return rows.length === 1
}

/** Ends the session of a cookie, and returns it. */
export async function takeWebSession(tx: Tx, cookieHash: string): Promise<WebSessionRow | undefined> {
  const { rows } = await sql<WebSessionRow>`delete from web_sessions where cookie_hash = ${cookieHash}
    returning *`.execute(tx.sql)
  return rows[0]
}

/** Ends the session of a cookie. */
export async function deleteWebSession(tx: Tx, cookieHash: string): Promise<void> {
  await tx.sql.deleteFrom('web_sessions').where('cookie_hash', '=', cookieHash).execute()
}

/** Ends all web sessions of a user, also those in the middle of a sign-in; except one of `keep`. */
export async function deleteWebSessions(tx: Tx, userId: UserId, keep?: string): Promise<void> {
  await sql`delete from web_sessions where (user_id = ${userId} or pending_user_id = ${userId})
    and cookie_hash is distinct from ${keep ?? null}`.execute(tx.sql)
}

/** Ends one web session of a user, if there is one. */
export async function deleteWebSessionOf(tx: Tx, userId: UserId, cookieHash: string): Promise<void> {
  await sql`delete from web_sessions where cookie_hash = ${cookieHash} and user_id = ${userId}`.execute(tx.sql)
}

/** Returns the browsers in which a user is signed in, the last used first. */
export async function loadWebSessions(db: Db, userId: UserId, now: number): Promise<WebSessionRow[]> {
  const { rows } = await sql<WebSessionRow>`select * from web_sessions
    where user_id = ${userId} and expires_ts > ${now}::bigint order by last_seen_ts desc, cookie_hash`.execute(db.sql)
  return rows
}
