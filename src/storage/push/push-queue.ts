import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { Lease } from '../engine/lease.ts'
import type { PusherRow, PushQueueRow } from '../schema/push.ts'
import type { StreamRow } from '../schema/stream.ts'

/**
 * Acquires or renews the lease of push evaluation to `until`; returns the position to continue from, or undefined while
 * another process holds it. Skips what happened before the oldest pusher was set.
 */
export async function leasePushProgress(tx: Tx, { holder, now, until }: Lease): Promise<number | undefined> {
  const { rows } = await sql<{
    stream_position: number
  }>`update push_progress set leased_by = ${holder}, leased_until = ${until}::bigint,
      stream_position = greatest(stream_position, (select min(since_position) from pushers))
    where leased_by = ${holder} or leased_until <= ${now}::bigint returning stream_position`.execute(tx.sql)
  return rows[0]?.stream_position
}

/** Releases the lease, so that another process continues immediately. */
export async function releasePushProgress(tx: Tx, holder: string): Promise<void> {
  await sql`update push_progress set leased_until = 0, leased_by = null where leased_by = ${holder}`.execute(tx.sql)
}

/** Advances the position; false if another process did, which then has enqueued the same pushes. */
export async function advancePushProgress(tx: Tx, { from, to }: { from: number; to: number }): Promise<boolean> {
  const { rows } = await sql`update push_progress set stream_position = ${to}::bigint
    where stream_position = ${from}::bigint returning 1`.execute(tx.sql)
  return rows.length > 0
}

/** Returns the stream after a position, oldest first. */
export async function loadStreamAfter(db: Db, position: number, limit: number): Promise<StreamRow[]> {
  const { rows } = await sql<StreamRow>`select * from stream where stream_position > ${position}::bigint
    order by stream_position limit ${limit}::int`.execute(db.sql)
  return rows
}

/** A push to send; without an event: the unread count. */
export type QueuedPush = Omit<PushQueueRow, 'queue_nid' | 'queued_ts'>

/** Only the newest entries of a pusher's queue are kept. */
const MOST_WAITING = 1000

/** Enqueues pushes, in this order. Each pusher has at most one queued unread count; deleted pushers are skipped. */
export async function enqueuePushes(tx: Tx, pushes: readonly QueuedPush[], now: number): Promise<void> {
  if (pushes.length === 0) return
  await sql`insert into push_queue (pusher_nid, event_nid, tweaks, highlight, queued_ts)
    select pusher_nid, event_nid, new.tweaks, new.highlight, ${now}::bigint from unnest(${pushes.map((push) => push.pusher_nid)}::bigint[],
      ${pushes.map((push) => push.event_nid)}::bigint[], ${pushes.map((push) => push.tweaks)}::text[],
      ${pushes.map((push) => push.highlight)}::boolean[])
      with ordinality as new(pusher_nid, event_nid, tweaks, highlight, place)
    join pushers using (pusher_nid) order by place
    on conflict do nothing`.execute(tx.sql)
  const pushers = [...new Set(pushes.map(({ pusher_nid }) => pusher_nid))]
  await sql`delete from push_queue using unnest(${pushers}::bigint[]) as full_queue(pusher_nid)
    where push_queue.pusher_nid = full_queue.pusher_nid and queue_nid <= (select queue_nid from push_queue as waiting
      where waiting.pusher_nid = full_queue.pusher_nid order by queue_nid desc limit 1 offset ${MOST_WAITING}::int)`.execute(
    tx.sql,
  )
}

/**
 * Acquires leases until `until` on gateway pushers with a non-empty queue, the longest waiting first; at most a few of
 * each user, and none of the excluded ones.
 */
export async function leaseDuePushers(
  tx: Tx,
  {
    now,
    until,
    limit,
    ofUser,
    except,
  }: { now: number; until: number; limit: number; ofUser: number; except: readonly UserId[] },
): Promise<PusherRow[]> {
  const { rows } = await sql<PusherRow>`update pushers set leased_until = ${until}::bigint where pusher_nid in (
      select pusher_nid from pushers where leased_until <= ${now}::bigint and pusher_nid in (
        select pusher_nid from (
          select pusher_nid, retry_ts, row_number() over (partition by user_id order by retry_ts, pusher_nid) as place from pushers
          where kind = 'http' and leased_until <= ${now}::bigint and retry_ts <= ${now}::bigint
            and not user_id = any(${except}::text[])
            and exists (select 1 from push_queue where push_queue.pusher_nid = pushers.pusher_nid)
        ) as due where place <= ${ofUser}::int order by retry_ts, pusher_nid limit ${limit}::int)
      for update skip locked) returning *`.execute(tx.sql)
  return rows
}

/** Returns a pusher's queue, oldest first, and whether the user has read each event in the meantime. */
export async function loadPushQueue(
  db: Db,
  pusher: PusherRow,
  limit: number,
): Promise<(PushQueueRow & { is_read: boolean })[]> {
  const { rows } = await sql<PushQueueRow & { is_read: boolean }>`select push_queue.*, exists (
      select 1 from events join receipts using (room_id) where events.event_nid = push_queue.event_nid
        and receipts.user_id = ${pusher.user_id} and receipts.thread_id = '' and receipts.event_order >= events.event_order
    ) as is_read
    from push_queue where pusher_nid = ${pusher.pusher_nid} order by queue_nid limit ${limit}::int`.execute(db.sql)
  return rows
}

/**
 * Records that a push was sent or is not needed, and renews the lease until `until`. `unread`: the count that was sent.
 */
export async function finishPush(
  tx: Tx,
  push: PushQueueRow,
  { until, unread }: { until: number; unread: number | undefined },
): Promise<void> {
  await sql`delete from push_queue where queue_nid = ${push.queue_nid}`.execute(tx.sql)
  await sql`update pushers set leased_until = ${until}::bigint, failures = 0,
      sent_unread = coalesce(${unread ?? null}::int, sent_unread)
    where pusher_nid = ${push.pusher_nid}`.execute(tx.sql)
}

/** The end of a pusher's back-off; after a failure, entries from before `dropBefore` are dropped. */
export type PusherRest = { retryAt: number; dropBefore?: number }

/** Releases the lease of a pusher. */
export async function releasePusher(tx: Tx, pusherNid: number, { retryAt, dropBefore }: PusherRest): Promise<void> {
  const hasFailed = dropBefore !== undefined
  await sql`update pushers set leased_until = 0, failures = failures + ${hasFailed ? 1 : 0}::int, retry_ts = ${retryAt}::bigint
    where pusher_nid = ${pusherNid}`.execute(tx.sql)
  if (!hasFailed) return
  await sql`delete from push_queue where pusher_nid = ${pusherNid} and queued_ts < ${dropBefore}::bigint`.execute(
    tx.sql,
  )
}
