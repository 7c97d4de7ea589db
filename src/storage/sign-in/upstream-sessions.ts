import { sql } from 'kysely'
import type { DeviceId, UserId } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import type { UpstreamSessionRow } from '../schema/upstream.ts'
import type { DeviceKey } from '../schema/users.ts'

/** How long a session is kept that nothing has come of yet: an authorization or a login token may still be on its way. */
const UNUSED_MS = 24 * 60 * 60_000

/** Stores that somebody has signed in by a session at a provider; forgets the user's sessions of which nothing is left. */
export async function insertUpstreamSession(tx: Tx, session: Omit<UpstreamSessionRow, 'session_nid'>): Promise<number> {
  await sql`delete from upstream_sessions where user_id = ${session.user_id}
      and created_ts < ${session.created_ts - UNUSED_MS}::bigint
      and not exists (select 1 from upstream_devices as device where device.session_nid = upstream_sessions.session_nid)
      and not exists (select 1 from web_sessions as web where web.upstream_session_nid = upstream_sessions.session_nid)
      and not exists (select 1 from oauth_sessions as oauth
        where oauth.upstream_session_nid = upstream_sessions.session_nid)`.execute(tx.sql)
  const { rows } = await sql<{ session_nid: number }>`insert into upstream_sessions
      (provider_id, subject, sid, user_id, created_ts)
    values (${session.provider_id}, ${session.subject}, ${session.sid}, ${session.user_id},
      ${session.created_ts}::bigint) returning session_nid`.execute(tx.sql)
  return rows[0]!.session_nid
}

/** Stores by which session at a provider a device was logged in; null: by none. */
export async function storeUpstreamDevice(
  tx: Tx,
  { userId, deviceId }: DeviceKey,
  sessionNid: number | null,
): Promise<void> {
  await sql`delete from upstream_devices where user_id = ${userId} and device_id = ${deviceId}`.execute(tx.sql)
  if (sessionNid === null) return
  await sql`insert into upstream_devices (user_id, device_id, session_nid)
    values (${userId}, ${deviceId}, ${sessionNid}::bigint)`.execute(tx.sql)
}

/** Sessions that a provider has ended, with a device of each, or null. */
export type EndedUpstreamSession = { session_nid: number; user_id: UserId; device_id: DeviceId | null }

/** Returns the sessions that a logout names: those of a subject, or with an ID, or both. */
export async function findUpstreamSessions(
  tx: Tx,
  { providerId, subject, sid }: { providerId: string; subject: string | undefined; sid: string | undefined },
): Promise<EndedUpstreamSession[]> {
  const named =
    subject === undefined
      ? sql`session.sid = ${sid ?? null}`
      : sid === undefined
        ? sql`session.subject = ${subject}`
        : sql`session.subject = ${subject} and session.sid = ${sid}`
  const { rows } = await sql<EndedUpstreamSession>`select session.session_nid, session.user_id, device.device_id
    from upstream_sessions as session left join upstream_devices as device using (session_nid)
    where session.provider_id = ${providerId} and ${named}`.execute(tx.sql)
  return rows
}

/**
 * Deletes sessions, with the web sessions, login tokens and grants that came of them. Devices and OAuth sessions are the
 * caller's.
 */
export async function deleteUpstreamSessions(tx: Tx, sessionNids: readonly number[]): Promise<void> {
  await sql`delete from web_sessions where upstream_session_nid = any(${sessionNids}::bigint[])`.execute(tx.sql)
  await sql`delete from upstream_sessions where session_nid = any(${sessionNids}::bigint[])`.execute(tx.sql)
}

/** Deletes the OAuth sessions that came of sessions at a provider, with their tokens; their devices stay. */
export async function deleteOAuthSessionsByUpstream(tx: Tx, sessionNids: readonly number[]): Promise<void> {
  await sql`delete from oauth_sessions where upstream_session_nid = any(${sessionNids}::bigint[])`.execute(tx.sql)
}

/** Uses a logout token, and forgets those that have expired by `now`; false if it was used before. */
export async function useLogoutToken(
  tx: Tx,
  { providerId, tokenIdHash, ...at }: { providerId: string; tokenIdHash: string; expiresTs: number; now: number },
): Promise<boolean> {
  await tx.sql.deleteFrom('upstream_logouts').where('expires_ts', '<=', at.now).execute()
  const { numAffectedRows } = await sql`insert into upstream_logouts (provider_id, token_id_hash, expires_ts)
    values (${providerId}, ${tokenIdHash}, ${at.expiresTs}::bigint) on conflict do nothing`.execute(tx.sql)
  return numAffectedRows === 1n
}
