import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { NotificationRow } from '../schema/push.ts'

/** Returns up to which order a user's events of some rooms were evaluated by push rules; rooms without are absent. */
export async function loadCountedOrders(
  db: Db,
  userId: UserId,
  roomIds: readonly RoomId[],
): Promise<Map<RoomId, number>> {
  const { rows } = await sql<{
    room_id: RoomId
    counted_order: number
  }>`select room_id, counted_order from notification_progress
    where user_id = ${userId} and room_id = any(${roomIds}::text[])`.execute(db.sql)
  return new Map(rows.map((row) => [row.room_id, row.counted_order]))
}

/**
 * Whether the event of the row `noted` is unread: no receipt of the room or of the event's thread, and no own event of
 * the user, reads it.
 */
const IS_UNREAD = sql`(not noted.is_read and not exists (select 1 from receipts where receipts.room_id = noted.room_id
  and receipts.user_id = noted.user_id and receipts.thread_id in ('', noted.thread_id)
  and receipts.event_order >= noted.event_order))`

/** Returns a user's unread notifications in some rooms, without redacted events; oldest first in each room. */
export async function loadUnreadNotifications(
  db: Db,
  userId: UserId,
  roomIds: readonly RoomId[],
): Promise<NotificationRow[]> {
  const { rows } = await sql<NotificationRow>`select noted.* from notifications as noted join events using (event_nid)
    where noted.user_id = ${userId} and noted.room_id = any(${roomIds}::text[]) and events.redacted_by is null and ${IS_UNREAD}
    order by noted.room_id, noted.event_order`.execute(db.sql)
  return rows
}

/** Returns which of some events notify a user and are unread. Their evaluation must have been stored. */
export async function loadUnreadAmong(db: Db, userId: UserId, eventNids: readonly number[]): Promise<number[]> {
  const { rows } = await sql<{ event_nid: number }>`select noted.event_nid from notifications as noted
    where noted.user_id = ${userId} and noted.event_nid = any(${eventNids}::bigint[]) and ${IS_UNREAD}`.execute(db.sql)
  return rows.map((row) => row.event_nid)
}

/** Whether a user has an unread notification from before a time (milliseconds since 1970). */
export async function hasUnreadBefore(db: Db, userId: UserId, time: number): Promise<boolean> {
  const { rows } = await sql`select 1 from notifications as noted join events using (event_nid)
    where noted.user_id = ${userId} and events.origin_server_ts < ${time}::bigint and events.redacted_by is null
      and ${IS_UNREAD} limit 1`.execute(db.sql)
  return rows.length > 0
}

/** `size` is in bytes. */
export type EventPlace = { room_id: RoomId; event_nid: number; event_order: number; size: number }

/**
 * Returns the newest events of each room after an order, at most `limit` for each room; by nid, oldest first in each
 * room.
 */
export async function loadEventsAfter(
  db: Db,
  places: ReadonlyMap<RoomId, number>,
  limit: number,
): Promise<EventPlace[]> {
  const { rows } = await sql<EventPlace>`select place.room_id, newest.event_nid, newest.event_order, newest.size
    from unnest(${[...places.keys()]}::text[], ${[...places.values()]}::bigint[]) as place(room_id, event_order)
    cross join lateral (select event_nid, event_order, octet_length(json) as size from events where events.room_id = place.room_id
      and events.event_order > place.event_order and not soft_failed order by event_order desc limit ${limit}::int) as newest
    order by place.room_id, newest.event_order`.execute(db.sql)
  return rows
}

/** The order up to which an event of the user reads a thread (empty: the whole room). */
export type OwnRead = { thread_id: string; event_order: number }

/** The result for one room: the notifying events, and what the user's own events read. */
export type FoundNotifications = {
  userId: UserId
  roomId: RoomId
  countedOrder: number
  notifying: readonly Omit<NotificationRow, 'user_id' | 'room_id' | 'is_read'>[]
  ownReads: readonly OwnRead[]
}

/**
 * The maximum stored notifications of a user in a room; older ones no longer count, so that a user who never reads does
 * not fill the database.
 */
const KEPT_EVENTS = 20_000

/** Stores evaluated events, so that they need not be evaluated again; rows of another process are unchanged. */
export async function storeNotifications(tx: Tx, found: FoundNotifications): Promise<void> {
  const { userId, roomId, countedOrder, notifying, ownReads } = found
  await sql`insert into notifications (user_id, room_id, event_order, event_nid, thread_id, highlight, actions)
    select ${userId}::text, ${roomId}::text, * from unnest(${notifying.map((each) => each.event_order)}::bigint[],
      ${notifying.map((each) => each.event_nid)}::bigint[], ${notifying.map((each) => each.thread_id)}::text[],
      ${notifying.map((each) => each.highlight)}::boolean[], ${notifying.map((each) => each.actions)}::text[])
    on conflict do nothing`.execute(tx.sql)
  await sql`update notifications set is_read = true
    from unnest(${ownReads.map((read) => read.thread_id)}::text[], ${ownReads.map((read) => read.event_order)}::bigint[])
      as own(thread_id, event_order)
    where user_id = ${userId} and room_id = ${roomId} and not is_read and notifications.event_order <= own.event_order
      and own.thread_id in ('', notifications.thread_id)`.execute(tx.sql)
  await sql`delete from notifications where user_id = ${userId} and room_id = ${roomId}
    and event_order < ${countedOrder - KEPT_EVENTS}::bigint`.execute(tx.sql)
  await sql`insert into notification_progress (user_id, room_id, counted_order)
    values (${userId}, ${roomId}, ${countedOrder}::bigint)
    on conflict (user_id, room_id) do update
      set counted_order = greatest(notification_progress.counted_order, excluded.counted_order)`.execute(tx.sql)
}

/** Deletes a user's stored notifications, when the account is erased. */
export async function deleteNotifications(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('notifications').where('user_id', '=', userId).execute()
  await tx.sql.deleteFrom('notification_progress').where('user_id', '=', userId).execute()
}

/** A notification, when its event was sent, and whether it is unread. */
export type ListedNotification = NotificationRow & { origin_server_ts: number; unread: boolean }

/** Returns a page of a user's notifications, newest first; `before`: the last one of the previous page. */
export async function loadNotificationPage(
  db: Db,
  page: {
    userId: UserId
    before: { origin_server_ts: number; event_nid: number } | undefined
    highlightsOnly: boolean
    limit: number
  },
): Promise<ListedNotification[]> {
  const { before } = page
  const { rows } = await sql<ListedNotification>`select noted.*, events.origin_server_ts, ${IS_UNREAD} as unread
    from notifications as noted join events using (event_nid)
    where noted.user_id = ${page.userId} and events.redacted_by is null ${page.highlightsOnly ? sql`and noted.highlight` : sql``}
      ${before ? sql`and (events.origin_server_ts, noted.event_nid) < (${before.origin_server_ts}::bigint, ${before.event_nid}::bigint)` : sql``}
    order by events.origin_server_ts desc, noted.event_nid desc limit ${page.limit}::int`.execute(db.sql)
  return rows
}

/** Counts the joined members of each of these rooms. */
export async function loadJoinedCounts(db: Db, roomIds: readonly RoomId[]): Promise<Map<RoomId, number>> {
  const { rows } = await sql<{
    room_id: RoomId
    joined_members: number
  }>`select room_id, joined_members from rooms where room_id = any(${roomIds}::text[])`.execute(db.sql)
  return new Map(rows.map((row) => [row.room_id, row.joined_members]))
}

/** Returns the rooms that a user has joined, each with the event_order of its newest event. */
export async function loadLastOrders(db: Db, userId: UserId): Promise<{ room_id: RoomId; last_order: number }[]> {
  const { rows } = await sql<{ room_id: RoomId; last_order: number }>`select room_id, next_order - 1 as last_order
    from room_memberships join room_heads using (room_id) where user_id = ${userId} and membership = 'join'`.execute(
    db.sql,
  )
  return rows
}
