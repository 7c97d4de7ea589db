import { sql } from 'kysely'
import type { ServerName, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { PresenceRow } from '../schema/presence.ts'

/** Activity that is at most this much later than the known one is not sent by itself, in milliseconds. */
const NEWS_MS = 60_000

/**
 * Stores the presence of remote users, each once, and appends changes to the stream (kind 'presence'). Users who share
 * no room with a local user are omitted.
 */
export async function storeRemotePresence(
  tx: Tx,
  received: readonly Omit<PresenceRow, 'heard_ts'>[],
  { origin, now }: { origin: ServerName; now: number },
): Promise<void> {
  const { rows } = await sql<{ user_id: UserId; is_news: boolean }>`with received as (
      select * from unnest(${received.map((row) => row.user_id)}::text[], ${received.map((row) => row.presence)}::text[],
        ${received.map((row) => row.status_msg)}::text[], ${received.map((row) => row.last_active_ts)}::bigint[])
        as received(user_id, presence, status_msg, last_active_ts)
      where exists (select 1 from room_memberships where room_memberships.user_id = received.user_id and membership = 'join')
    ), known as (
      select received.*, old.presence is distinct from received.presence or old.status_msg is distinct from received.status_msg
        or old.last_active_ts < received.last_active_ts - ${NEWS_MS}::bigint as is_news
      from received left join presence as old using (user_id)
    ), stored as (
      insert into presence (user_id, presence, status_msg, last_active_ts, heard_ts)
      select user_id, presence, status_msg, last_active_ts, ${now}::bigint from known order by user_id
      on conflict (user_id) do update set presence = excluded.presence, status_msg = excluded.status_msg,
        last_active_ts = excluded.last_active_ts, heard_ts = excluded.heard_ts
    )
    select user_id, is_news from known`.execute(tx.sql)
  for (const { user_id, is_news } of rows) {
    if (is_news) appendToStream(tx, { kind: 'presence', user_id, detail: origin })
  }
}

/** Returns the presence of some local users. */
export async function loadOwnPresence(db: Db, userIds: readonly UserId[]): Promise<PresenceRow[]> {
  const { rows } = await sql<PresenceRow>`select * from presence where user_id = any(${userIds}::text[])
    and heard_ts is null`.execute(db.sql)
  return rows
}

/** Returns local users who are online, after a user id in order. */
export async function loadPresentOwnUsers(db: Db, after: string, limit: number): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from presence where presence <> 'offline'
    and heard_ts is null and user_id > ${after} order by user_id limit ${limit}::int`.execute(db.sql)
  return rows.map((row) => row.user_id)
}
