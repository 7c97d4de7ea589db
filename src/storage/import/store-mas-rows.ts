import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import type { OAuthSessionRow } from '../schema/oauth.ts'

/** An account as the Matrix Authentication Service knows it. */
export type MasAccount = {
  user_id: UserId
  password_hash: string | null
  is_admin: boolean
  locked_ts: number | null
  deactivated_ts: number | null
}

/** Changes accounts that exist to what MAS says. */
export async function updateMasAccounts(tx: Tx, accounts: readonly MasAccount[]): Promise<void> {
  await sql`update users set password_hash = given.password_hash, is_admin = given.is_admin,
      locked = given.locked_ts is not null, locked_ts = given.locked_ts,
      deactivated_ts = coalesce(given.deactivated_ts, users.deactivated_ts)
    from json_to_recordset(${JSON.stringify(accounts)}::text::json) as given
      (user_id text, password_hash text, is_admin boolean, locked_ts bigint, deactivated_ts bigint)
    where users.user_id = given.user_id`.execute(tx.sql)
}

/** A session of an OAuth client. */
export type ImportedOAuthSession = Omit<OAuthSessionRow, 'upstream_session_nid'>

/** Takes numbers for new sessions. */
export async function takeSessionNids(tx: Tx, count: number): Promise<number[]> {
  const { rows } = await sql<{ nid: number }>`select nextval(pg_get_serial_sequence('oauth_sessions', 'session_nid'))
    as nid from generate_series(1, ${count}::int)`.execute(tx.sql)
  return rows.map(({ nid }) => nid)
}

/** Stores sessions with the numbers that were taken for them. */
export async function insertImportedSessions(tx: Tx, sessions: readonly ImportedOAuthSession[]): Promise<void> {
  const text = JSON.stringify(sessions)
  await sql`insert into oauth_sessions (session_nid, client_id, user_id, device_id, scope, created_ts)
    overriding system value
    select session_nid, client_id, user_id, device_id, scope, created_ts
    from json_to_recordset(${text}::text::json) as given
      (session_nid bigint, client_id text, user_id text, device_id text, scope text, created_ts bigint)`.execute(tx.sql)
}
