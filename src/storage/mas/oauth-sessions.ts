import { sql } from 'kysely'
import type { DeviceId } from '../../core/ids.ts'
import type { Ulid } from '../../core/ulid.ts'
import type { Db } from '../engine/database.ts'
import { hasUlid, inPage, type UlidPage } from '../engine/ulid-pages.ts'
import { type ListedSession, matchesSession, type SessionFilter } from './session-filter.ts'

/** A session of an OAuth client, with what its device shows. */
export type ListedOAuthSession = ListedSession & {
  session_nid: number
  client_id: string
  client_created_ts: number
  device_id: DeviceId | null
  display_name: string | null
  scope: string
  upstream_session_nid: number | null
}

export type OAuthSessionFilter = SessionFilter & {
  clientIds: readonly string[] | null
  /** Scope tokens that the session has, all of them. */
  scopes: readonly string[]
}

const time = sql`session.created_ts`
const key = sql`session.session_nid::text`
const user = sql`session.user_id`
const active = sql`devices.last_seen_ts`

/** Returns a page of the sessions. */
export async function listOAuthSessions(
  db: Db,
  filter: OAuthSessionFilter,
  page: UlidPage,
): Promise<ListedOAuthSession[]> {
  const { rows } = await sql<ListedOAuthSession>`${sessions()}
    where ${matches(filter)} and ${inPage(time, key, page)}`.execute(db.sql)
  return rows
}

/** Returns how many sessions a list has. */
export async function countOAuthSessions(db: Db, filter: OAuthSessionFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from oauth_sessions session
    left join devices on devices.user_id = session.user_id and devices.device_id = session.device_id
    where ${matches(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns the session with a ULID. */
export async function findListedOAuthSession(db: Db, id: Ulid): Promise<ListedOAuthSession | undefined> {
  const { rows } = await sql<ListedOAuthSession>`${sessions()} where ${hasUlid(time, key, id)}`.execute(db.sql)
  return rows[0]
}

function sessions() {
  return sql`select session_nid, session.user_id, users.created_ts as user_created_ts, session.client_id,
      client.created_ts as client_created_ts, session.device_id, display_name, scope, session.created_ts,
      upstream_session_nid, last_seen_user_agent as user_agent, last_seen_ts as last_active_ts,
      last_seen_ip as last_active_ip
    from oauth_sessions session join users on users.user_id = session.user_id
      join oauth_clients client on client.client_id = session.client_id
      left join devices on devices.user_id = session.user_id and devices.device_id = session.device_id`
}

function matches(filter: OAuthSessionFilter) {
  const { clientIds, scopes } = filter
  const conditions = [
    matchesSession(user, time, active, filter),
    ...(clientIds === null ? [] : [sql`session.client_id = any(${clientIds}::text[])`]),
    ...(scopes.length === 0 ? [] : [sql`string_to_array(scope, ' ') @> ${scopes}::text[]`]),
  ]
  return sql.join(conditions, sql` and `)
}
