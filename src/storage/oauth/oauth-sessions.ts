import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { OAuthClientRow, OAuthSessionRow } from '../schema/oauth.ts'
import type { DeviceKey } from '../schema/users.ts'

/** Adds a session and returns its number; its client and device must exist. */
export async function insertOAuthSession(tx: Tx, session: Omit<OAuthSessionRow, 'session_nid'>): Promise<number> {
  const { rows } = await sql<{ session_nid: number }>`insert into oauth_sessions
      (client_id, user_id, device_id, scope, created_ts, upstream_session_nid)
    values (${session.client_id}, ${session.user_id}, ${session.device_id}, ${session.scope},
      ${session.created_ts}::bigint, ${session.upstream_session_nid}::bigint) returning session_nid`.execute(tx.sql)
  return rows[0]!.session_nid
}

/** Returns a session; undefined if it has ended. */
export async function findOAuthSession(db: Db, sessionNid: number): Promise<OAuthSessionRow | undefined> {
  const { rows } = await sql<OAuthSessionRow>`select * from oauth_sessions
    where session_nid = ${sessionNid}::bigint`.execute(db.sql)
  return rows[0]
}

/** Returns the sessions of a user with the metadata of their clients, the newest first. */
export async function loadOAuthSessionsOf(
  db: Db,
  userId: UserId,
): Promise<(OAuthSessionRow & Pick<OAuthClientRow, 'metadata'>)[]> {
  const { rows } = await sql<OAuthSessionRow & Pick<OAuthClientRow, 'metadata'>>`select oauth_sessions.*, metadata
    from oauth_sessions join oauth_clients using (client_id)
    where user_id = ${userId} order by session_nid desc`.execute(db.sql)
  return rows
}

/** Returns the session that a token belongs to, by the hash of an access or refresh token or of its family. */
export async function findOAuthSessionOfToken(
  db: Db,
  { tokenHash, familyHash }: { tokenHash: string; familyHash: string | null },
): Promise<OAuthSessionRow | undefined> {
  const { rows } = await sql<OAuthSessionRow>`select * from oauth_sessions where session_nid = (
    select oauth_session_nid from refresh_tokens where family_hash = ${familyHash}
    union all select oauth_session_nid from refresh_tokens join access_tokens
      on refresh_tokens.token_hash = access_tokens.refresh_token_hash
      where access_tokens.token_hash = ${tokenHash}
    limit 1)`.execute(db.sql)
  return rows[0]
}

/** Deletes a session with its tokens; its device stays. */
export async function deleteOAuthSession(tx: Tx, sessionNid: number): Promise<void> {
  await sql`delete from oauth_sessions where session_nid = ${sessionNid}::bigint`.execute(tx.sql)
}

/** Deletes the sessions of a device with their tokens. */
export async function deleteOAuthSessionsOfDevice(tx: Tx, { userId, deviceId }: DeviceKey): Promise<void> {
  await tx.sql.deleteFrom('oauth_sessions').where('user_id', '=', userId).where('device_id', '=', deviceId).execute()
}

/** Deletes the sessions of a user that have no device, with their tokens. */
export async function deleteDevicelessSessions(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('oauth_sessions').where('user_id', '=', userId).where('device_id', 'is', null).execute()
}

/** Deletes the oldest sessions of a user without a device, beyond `most`. */
export async function deleteOldDevicelessSessions(tx: Tx, userId: UserId, { most }: { most: number }): Promise<void> {
  await sql`delete from oauth_sessions where session_nid in (select session_nid from oauth_sessions
    where user_id = ${userId} and device_id is null order by session_nid desc offset ${most}::int)`.execute(tx.sql)
}
