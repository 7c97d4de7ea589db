import { sql } from 'kysely'
import type { DeviceId } from '../../core/ids.ts'
import type { Ulid } from '../../core/ulid.ts'
import type { Db } from '../engine/database.ts'
import { hasUlid, inPage, type UlidPage } from '../engine/ulid-pages.ts'
import { type ListedSession, matchesSession, type SessionFilter } from './session-filter.ts'

/** A session of a client that logged in by `/login`: a device. */
export type CompatSession = ListedSession & { device_id: DeviceId; display_name: string | null }

const time = sql`devices.created_ts`
const key = sql`devices.user_id || ' ' || devices.device_id`
const user = sql`devices.user_id`
const active = sql`devices.last_seen_ts`

/** Returns a page of the sessions. */
export async function listCompatSessions(db: Db, filter: SessionFilter, page: UlidPage): Promise<CompatSession[]> {
  const { rows } = await sql<CompatSession>`${sessions()} where ${isCompatSession()}
    and ${matchesSession(user, time, active, filter)} and ${inPage(time, key, page)}`.execute(db.sql)
  return rows
}

/** Returns how many sessions a list has. */
export async function countCompatSessions(db: Db, filter: SessionFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from devices
    where ${isCompatSession()} and ${matchesSession(user, time, active, filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Returns the session with a ULID. */
export async function findCompatSession(db: Db, id: Ulid): Promise<CompatSession | undefined> {
  const { rows } = await sql<CompatSession>`${sessions()} where ${isCompatSession()}
    and ${hasUlid(time, key, id)}`.execute(db.sql)
  return rows[0]
}

function sessions() {
  return sql`select devices.user_id, users.created_ts as user_created_ts, device_id, display_name, devices.created_ts,
      last_seen_user_agent as user_agent, last_seen_ts as last_active_ts, last_seen_ip as last_active_ip
    from devices join users using (user_id)`
}

/** The condition that a device belongs to no OAuth session, to no personal token, and is not dehydrated. */
export function isCompatSession() {
  return sql`not exists (select 1 from oauth_sessions
      where oauth_sessions.user_id = devices.user_id and oauth_sessions.device_id = devices.device_id)
    and not exists (select 1 from access_tokens where access_tokens.user_id = devices.user_id
      and access_tokens.device_id = devices.device_id and access_tokens.last_used_ts is not null)
    and not exists (select 1 from dehydrated_devices where dehydrated_devices.user_id = devices.user_id
      and dehydrated_devices.device_id = devices.device_id)`
}
