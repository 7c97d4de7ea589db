import { sql } from 'kysely'
import type { EventId, RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { ThreadSubscriptionRow } from '../schema/rooms.ts'

/** A thread by its room and its root. */
export type ThreadKey = { roomId: RoomId; threadId: EventId }

/** Returns a user's subscription to a thread; undefined if there never was one. */
export async function findThreadSubscription(
  db: Db,
  userId: UserId,
  { roomId, threadId }: ThreadKey,
): Promise<ThreadSubscriptionRow | undefined> {
  const { rows } = await sql<ThreadSubscriptionRow>`select * from thread_subscriptions
    where user_id = ${userId} and room_id = ${roomId} and thread_id = ${threadId}`.execute(db.sql)
  return rows[0]
}

/** Counts a user's thread subscriptions, ended ones included. */
export async function countThreadSubscriptions(db: Db, userId: UserId): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from thread_subscriptions
    where user_id = ${userId}`.execute(db.sql)
  return rows[0]!.count
}

/**
 * Creates, changes or ends a subscription and notifies the user's devices. The end is stored with the order of the
 * room's newest event.
 */
export async function storeThreadSubscription(
  tx: Tx,
  userId: UserId,
  { roomId, threadId, subscribed, automatic }: ThreadKey & { subscribed: boolean; automatic: boolean },
): Promise<void> {
  const { rows } = await sql<{ change_nid: number }>`insert into thread_subscriptions
      (user_id, room_id, thread_id, subscribed, automatic, ended_order)
    values (${userId}, ${roomId}, ${threadId}, ${subscribed}, ${automatic},
      case when not ${subscribed} then (select next_order - 1 from room_heads where room_id = ${roomId}) end)
    on conflict (user_id, room_id, thread_id) do update set subscribed = excluded.subscribed, automatic = excluded.automatic,
      ended_order = coalesce(excluded.ended_order, thread_subscriptions.ended_order), change_nid = default
    returning change_nid`.execute(tx.sql)
  appendToStream(tx, { kind: 'thread_subscription', user_id: userId, ref: rows[0]!.change_nid })
}

/** Deletes all subscriptions of a user, when the account is erased. */
export async function deleteThreadSubscriptions(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('thread_subscriptions').where('user_id', '=', userId).execute()
}

/** Returns the subscribers of some threads, by root event id. */
export async function loadThreadSubscribers(
  db: Db,
  threads: readonly ThreadKey[],
): Promise<ReadonlyMap<EventId, ReadonlySet<UserId>>> {
  if (threads.length === 0) return new Map()
  const { rows } = await sql<{ thread_id: EventId; users: UserId[] }>`select thread_id, array_agg(user_id) as users
    from thread_subscriptions join (select distinct * from unnest(${threads.map(({ roomId }) => roomId)}::text[],
      ${threads.map(({ threadId }) => threadId)}::text[]) as wanted(room_id, thread_id)) as wanted using (room_id, thread_id)
    where subscribed group by thread_id`.execute(db.sql)
  return new Map(rows.map(({ thread_id, users }) => [thread_id, new Set(users)]))
}

/** The last change of a subscription; `position`: its place in the stream. */
export type ThreadSubscriptionChange = Pick<
  ThreadSubscriptionRow,
  'room_id' | 'thread_id' | 'subscribed' | 'automatic'
> & { position: number }

/**
 * Returns a user's subscriptions whose last change is after `from` and up to `to`: the latest `limit`, latest first.
 */
export async function loadThreadSubscriptionChanges(
  db: Db,
  userId: UserId,
  { from, to, limit }: { from: number; to: number; limit: number },
): Promise<ThreadSubscriptionChange[]> {
  const { rows } = await sql<ThreadSubscriptionChange>`select room_id, thread_id, subscribed, automatic,
      stream_position as position
    from thread_subscriptions join lateral (
      select stream_position from stream where kind = 'thread_subscription' and ref = change_nid) as place on true
    where user_id = ${userId} and stream_position > ${from}::bigint and stream_position <= ${to}::bigint
    order by stream_position desc limit ${limit}::int`.execute(db.sql)
  return rows
}
