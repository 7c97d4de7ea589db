import { sql } from 'kysely'
import type { Ulid } from '../../core/ulid.ts'
import type { Db } from '../engine/database.ts'
import { hasUlid, inPage, type UlidPage } from '../engine/ulid-pages.ts'
import { type ListedSession, matchesSession, type SessionFilter } from './session-filter.ts'

/** A browser in which a user is signed in on the pages of this server. */
export type UserSession = ListedSession & { cookie_hash: string }

const time = sql`web_sessions.created_ts`
const key = sql`web_sessions.cookie_hash`
const user = sql`web_sessions.user_id`
const active = sql`web_sessions.last_seen_ts`

/** Returns a page of the sessions. */
export async function listUserSessions(
  db: Db,
  filter: SessionFilter & { now: number },
  page: UlidPage,
): Promise<UserSession[]> {
  const { rows } = await sql<UserSession>`${sessions()} where ${isSignedIn(filter.now)}
    and ${matchesSession(user, time, active, filter)} and ${inPage(time, key, page)}`.execute(db.sql)
  return rows
}

/** Returns how many sessions a list has. */
export async function countUserSessions(db: Db, filter: SessionFilter & { now: number }): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from web_sessions
    where ${isSignedIn(filter.now)} and ${matchesSession(user, time, active, filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns the session with a ULID. */
export async function findUserSession(db: Db, id: Ulid, now: number): Promise<UserSession | undefined> {
  const { rows } = await sql<UserSession>`${sessions()} where ${isSignedIn(now)}
    and ${hasUlid(time, key, id)}`.execute(db.sql)
  return rows[0]
}

function sessions() {
  return sql`select cookie_hash, web_sessions.user_id, users.created_ts as user_created_ts, web_sessions.created_ts,
      last_seen_user_agent as user_agent, last_seen_ts as last_active_ts, last_seen_ip as last_active_ip
    from web_sessions join users on users.user_id = web_sessions.user_id`
}

function isSignedIn(now: number) {
  return sql`web_sessions.user_id is not null and web_sessions.expires_ts > ${now}::bigint`
}
