import { sql } from 'kysely'
import type { UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { PusherRow, PushQueueRow } from '../schema/notifications.ts'
import type { StreamRow } from '../schema/stream.ts'

/**
 * Takes or keeps the right to put the stream to the users' rules until `until`; returns the position from where to go on, or undefined
 * while another process has it. What happened before the oldest pusher was set is passed over.
 */
export async function leasePushProgress(
  tx: Tx,
  { holder, now, until }: { holder: string; now: number; until: number },
): Promise<number | undefined> {
  const { rows } = await sql<{
    stream_position: number
  }>`update push_progress set leased_by = ${holder}, leased_until = ${until}::bigint,
      stream_position = greatest(stream_position, (select min(since_position) from pushers))
    where leased_by = ${holder} or leased_until <= ${now}::bigint returning stream_position`.execute(tx.sql)
  return rows[0]?.stream_position
}

/** Gives the right back, so that another process goes on at once. */
export async function releasePushProgress(tx: Tx, holder: string): Promise<void> {
  await sql`update push_progress set leased_until = 0, leased_by = null where leased_by = ${holder}`.execute(tx.sql)
}

/** Moves on; false if meanwhile another process did, which then has queued the same. */
export async function advancePushProgress(tx: Tx, { from, to }: { from: number; to: number }): Promise<boolean> {
  const { rows } = await sql`update push_progress set stream_position = ${to}::bigint
    where stream_position = ${from}::bigint returning 1`.execute(tx.sql)
  return rows.length > 0
}

/** The stream after a position, oldest first. */
export async function loadStreamAfter(db: Db, position: number, limit: number): Promise<StreamRow[]> {
  const { rows } = await sql<StreamRow>`select * from stream where stream_position > ${position}::bigint
    order by stream_position limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Something to send; without an event: the unread count. */
export type QueuedPush = Omit<PushQueueRow, 'queue_nid' | 'queued_ts'>

/** Of what waits for a pusher the newest are kept. */
const MOST_WAITING = 1000

/** Queues what is to be sent, in this order; one unread count for each pusher is enough, and pushers that are gone need nothing. */
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

/** Takes pushers of gateways with something to send, those that wait longest first, which are this process's until `until`; a few of each user, none of some. */
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

/** What waits for a pusher, oldest first, with whether the user has read it meanwhile. */
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

/** Notes that something was sent or need not be, and keeps the pusher for this process until `until`. `unread`: the count that was sent. */
export async function finishPush(
  tx: Tx,
  push: PushQueueRow,
  { until, unread }: { until: number; unread: number | undefined },
): Promise<void> {
  await sql`delete from push_queue where queue_nid = ${push.queue_nid}`.execute(tx.sql)
  await sql`update pushers set leased_until = ${until}::bigint, failures = 0,
      told_unread = coalesce(${unread ?? null}::int, told_unread)
    where pusher_nid = ${push.pusher_nid}`.execute(tx.sql)
}

/** Until when a pusher rests; after a failure (`dropBefore`), what waits since before then is given up. */
export type PusherRest = { retryAt: number; dropBefore?: number }

/** Gives a pusher back. */
export async function releasePusher(tx: Tx, pusherNid: number, { retryAt, dropBefore }: PusherRest): Promise<void> {
  const hasFailed = dropBefore !== undefined
  await sql`update pushers set leased_until = 0, failures = failures + ${hasFailed ? 1 : 0}::int, retry_ts = ${retryAt}::bigint
    where pusher_nid = ${pusherNid}`.execute(tx.sql)
  if (!hasFailed) return
  await sql`delete from push_queue where pusher_nid = ${pusherNid} and queued_ts < ${dropBefore}::bigint`.execute(
    tx.sql,
  )
}
