import { sql } from 'kysely'
import type { EventId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { DelayedEventRow } from '../schema/delayed-events.ts'
import type { AppendedEvent } from './timeline/locked-room.ts'

export type NewDelayedEvent = Omit<DelayedEventRow, 'ready_ts' | 'finalised_ts' | 'event_id' | 'error'>

/** Adds a delayed event, and tells all processes when it is due. */
export async function insertDelayedEvent(tx: Tx, event: NewDelayedEvent): Promise<void> {
  await sql`insert into delayed_events (delay_id, user_id, device_id, room_id, type, state_key, content,
      delay_ms, since_ts, txn_id, ready_ts)
    values (${event.delay_id}, ${event.user_id}, ${event.device_id}, ${event.room_id}, ${event.type}, ${event.state_key},
      ${event.content}, ${event.delay_ms}::bigint, ${event.since_ts}::bigint,
      ${event.txn_id}, ${event.since_ts + event.delay_ms}::bigint)`.execute(tx.sql)
  appendToStream(tx, { kind: 'delayed_event' })
}

/** The delayed event that a client's transaction made before; undefined when it is a new one. */
export async function findDelayedTransaction(
  db: Db,
  { user_id, device_id, room_id, type, txn_id }: NewDelayedEvent,
): Promise<string | undefined> {
  const { rows } = await sql<{ delay_id: string }>`select delay_id from delayed_events
    where user_id = ${user_id} and device_id = ${device_id} and room_id = ${room_id} and type = ${type}
      and txn_id = ${txn_id}`.execute(db.sql)
  return rows[0]?.delay_id
}

/** How many events of a user are scheduled, the bytes of their contents, and when (milliseconds since 1970) the first of them is due. */
export type Scheduled = { count: number; bytes: number; firstDue: number | null }

export async function countScheduled(db: Db, userId: UserId): Promise<Scheduled> {
  const { rows } = await sql<Scheduled>`select count(*)::int as count,
      coalesce(sum(octet_length(content)), 0)::int as bytes, min(since_ts + delay_ms) as "firstDue"
    from delayed_events where user_id = ${userId} and finalised_ts is null`.execute(db.sql)
  return rows[0]!
}

export async function findDelayedEvent(db: Db, delayId: string): Promise<DelayedEventRow | undefined> {
  return db.sql.selectFrom('delayed_events').selectAll().where('delay_id', '=', delayId).executeTakeFirst()
}

/** All delayed events of a user that are remembered: those scheduled in the order in which they are due, then the others, latest first. */
export async function loadDelayedEvents(db: Db, userId: UserId): Promise<DelayedEventRow[]> {
  const { rows } = await sql<DelayedEventRow>`select * from delayed_events where user_id = ${userId}
    order by finalised_ts desc nulls first, since_ts + delay_ms, delay_id`.execute(db.sql)
  return rows
}

/** Starts the delay of a scheduled event anew; false when it is scheduled no more. */
export async function restartDelayedEvent(tx: Tx, delayId: string, now: number): Promise<boolean> {
  const result = await sql`update delayed_events set since_ts = ${now}::bigint, ready_ts = ${now}::bigint + delay_ms
    where delay_id = ${delayId} and finalised_ts is null`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/**
 * Whether a delayed event is still to be sent; `dueBy` (milliseconds since 1970): only if it is due by then. The row stays locked until the
 * transaction ends, so that nobody else sends, restarts or cancels it meanwhile. Lock order: after the room's.
 */
export async function claimDelayedEvent(
  db: Db,
  { delayId, dueBy }: { delayId: string; dueBy: number | null },
): Promise<boolean> {
  const { rows } = await sql`select 1 from delayed_events where delay_id = ${delayId} and finalised_ts is null
    and (${dueBy}::bigint is null or since_ts + delay_ms <= ${dueBy}::bigint) for update`.execute(db.sql)
  return rows.length > 0
}

/** Notes how a scheduled event ended: sent as `eventId`, failed with `error`, or with neither cancelled. False when it had ended before. */
export async function finaliseDelayedEvent(
  tx: Tx,
  { delayId, now, eventId, error }: { delayId: string; now: number; eventId?: EventId; error?: object },
): Promise<boolean> {
  const result = await sql`update delayed_events set finalised_ts = ${now}::bigint, event_id = ${eventId ?? null},
      error = ${error ? JSON.stringify(error) : null}
    where delay_id = ${delayId} and finalised_ts is null`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Takes events that are due, which are this process's until `until`, in the order in which they are due. */
export async function leaseDueEvents(
  tx: Tx,
  { now, until, limit }: { now: number; until: number; limit: number },
): Promise<DelayedEventRow[]> {
  const { rows } = await sql<DelayedEventRow>`update delayed_events set ready_ts = ${until}::bigint where delay_id in (
      select delay_id from delayed_events where finalised_ts is null and ready_ts <= ${now}::bigint
      order by ready_ts limit ${limit}::int for update skip locked) returning *`.execute(tx.sql)
  return rows.sort((a, b) => a.since_ts + a.delay_ms - b.since_ts - b.delay_ms)
}

/** Lets an event that could not be sent now rest until `readyTs`. */
export async function postponeDelayedEvent(tx: Tx, delayId: string, readyTs: number): Promise<void> {
  await sql`update delayed_events set ready_ts = ${readyTs}::bigint
    where delay_id = ${delayId} and finalised_ts is null`.execute(tx.sql)
}

/** When (milliseconds since 1970) to look at the first scheduled event; null when there is none. */
export async function firstReady(db: Db): Promise<number | null> {
  const { rows } = await sql<{ first: number | null }>`select min(ready_ts) as first from delayed_events
    where finalised_ts is null`.execute(db.sql)
  return rows[0]!.first
}

/**
 * Forgets events of a user that ended before `before` (milliseconds since 1970), and of the others all but the `keep` latest, and of these the
 * ones beyond so many bytes of contents.
 */
export async function forgetFinalisedEvents(
  tx: Tx,
  { userId, before, keep, bytes }: { userId: UserId; before: number; keep: number; bytes: number },
): Promise<void> {
  await sql`delete from delayed_events where user_id = ${userId} and finalised_ts is not null
    and (finalised_ts < ${before}::bigint or delay_id in (select delay_id from (
        select delay_id, row_number() over latest as place, sum(octet_length(content)) over latest as bytes
        from delayed_events where user_id = ${userId} and finalised_ts is not null
        window latest as (order by finalised_ts desc, delay_id)
      ) as ended where place > ${keep}::int or bytes > ${bytes}::bigint))`.execute(tx.sql)
}

/** Forgets all delayed events of a user, scheduled ones too. */
export async function deleteDelayedEvents(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('delayed_events').where('user_id', '=', userId).execute()
}

/** Notes of a stored event which delayed event it was. */
export async function markDelayedEvent(tx: Tx, event: AppendedEvent, delayId: string): Promise<void> {
  await tx.sql.updateTable('events').set({ delay_id: delayId }).where('event_nid', '=', event.event_nid).execute()
}
