import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { PusherRow } from '../schema/push.ts'

/** A pusher as its user sets it. */
export type NewPusher = Omit<
  PusherRow,
  'pusher_nid' | 'since_position' | 'leased_until' | 'retry_ts' | 'failures' | 'sent_unread'
>

/** Returns a user's pushers, the oldest first. */
export async function loadPushers(db: Db, userId: UserId): Promise<PusherRow[]> {
  return db.sql.selectFrom('pushers').selectAll().where('user_id', '=', userId).orderBy('pusher_nid').execute()
}

/** Counts a user's pushers. */
export async function countPushers(db: Db, userId: UserId): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from pushers
    where user_id = ${userId}`.execute(db.sql)
  return rows[0]!.count
}

/** Whether any user has a pusher. */
export async function hasPushers(db: Db): Promise<boolean> {
  const { rows } = await sql`select 1 from pushers limit 1`.execute(db.sql)
  return rows.length > 0
}

/** Adds or updates a pusher. A new one applies to later events; an updated one keeps its place in the queue. */
export async function storePusher(tx: Tx, pusher: NewPusher): Promise<void> {
  await sql`insert into pushers (user_id, app_id, pushkey, token_hash, device_id, kind, app_display_name, device_display_name,
      profile_tag, lang, data, pushkey_ts, since_position)
    values (${pusher.user_id}, ${pusher.app_id}, ${pusher.pushkey}, ${pusher.token_hash}, ${pusher.device_id}, ${pusher.kind},
      ${pusher.app_display_name}, ${pusher.device_display_name}, ${pusher.profile_tag}, ${pusher.lang}, ${pusher.data},
      ${pusher.pushkey_ts}::bigint, (select coalesce(max(stream_position), 0) from stream))
    on conflict (user_id, app_id, pushkey) do update set token_hash = excluded.token_hash, device_id = excluded.device_id,
      kind = excluded.kind, app_display_name = excluded.app_display_name, device_display_name = excluded.device_display_name,
      profile_tag = excluded.profile_tag, lang = excluded.lang, data = excluded.data, pushkey_ts = excluded.pushkey_ts,
      retry_ts = least(pushers.retry_ts, excluded.pushkey_ts * 1000), failures = 0`.execute(tx.sql)
  appendToStream(tx, { kind: 'pusher', user_id: pusher.user_id })
}

/** Deletes the pushers with this key: of a user, of all users except one, or of all. */
export async function deletePushers(
  tx: Tx,
  { app_id, pushkey }: { app_id: string; pushkey: string },
  whose: { of: UserId } | { except: UserId } | 'everyone',
): Promise<void> {
  const condition =
    whose === 'everyone' ? sql`true` : 'of' in whose ? sql`user_id = ${whose.of}` : sql`user_id <> ${whose.except}`
  await sql`delete from pushers where app_id = ${app_id} and pushkey = ${pushkey} and ${condition}`.execute(tx.sql)
}

/** A pusher, and a room that its user has joined. */
export type PusherInRoom = {
  room_id: RoomId
  user_id: UserId
  pusher_nid: number
  kind: string
  since_position: number
}

/** Returns the pushers of the joined members of some rooms. */
export async function loadRoomPushers(db: Db, roomIds: readonly RoomId[]): Promise<PusherInRoom[]> {
  const { rows } = await sql<PusherInRoom>`select room_id, user_id, pusher_nid, kind, since_position
    from room_memberships join pushers using (user_id)
    where room_id = any(${roomIds}::text[]) and membership = 'join'`.execute(db.sql)
  return rows
}

/** Returns the pushers of some users. */
export async function loadPushersOf(db: Db, userIds: readonly UserId[]): Promise<Omit<PusherInRoom, 'room_id'>[]> {
  const { rows } = await sql<
    Omit<PusherInRoom, 'room_id'>
  >`select user_id, pusher_nid, kind, since_position from pushers
    where user_id = any(${userIds}::text[])`.execute(db.sql)
  return rows
}
