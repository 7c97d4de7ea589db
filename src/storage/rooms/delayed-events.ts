import { sql } from 'kysely'
import type { EventId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { DelayedEventRow } from '../schema/delayed-events.ts'
import type { AppendedEvent } from './timeline/locked-room.ts'

export type NewDelayedEvent = Omit<DelayedEventRow, 'ready_ts' | 'finalised_ts' | 'event_id' | 'error'>

/** Adds a delayed event, and notifies all processes when it is due. */
export async function insertDelayedEvent(tx: Tx, event: NewDelayedEvent): Promise<void> {
  await sql`insert into delayed_events (delay_id, user_id, device_id, room_id, type, state_key, content,
      sticky_ms, delay_ms, since_ts, txn_id, as_admin, ready_ts)
    values (${event.delay_id}, ${event.user_id}, ${event.device_id}, ${event.room_id}, ${event.type}, ${event.state_key},
      ${event.content}, ${event.sticky_ms}::bigint, ${event.delay_ms}::bigint, ${event.since_ts}::bigint,
      ${event.txn_id}, ${event.as_admin}, ${event.since_ts + event.delay_ms}::bigint)`.execute(tx.sql)
  appendToStream(tx, { kind: 'delayed_event' })
}

/** Finds the delayed event of an earlier request with the same transaction id; undefined if there is none. */
export async function findDelayedTransaction(
  db: Db,
  { user_id, device_id, room_id, type, txn_id }: NewDelayedEvent,
): Promise<string | undefined> {
  const { rows } = await sql<{ delay_id: string }>`select delay_id from delayed_events
    where user_id = ${user_id} and device_id = ${device_id} and room_id = ${room_id} and type = ${type}
      and txn_id = ${txn_id}`.execute(db.sql)
  return rows[0]?.delay_id
}

/**
 * The number of a user's scheduled events, the bytes of their contents, and when (milliseconds since 1970) the first
 * one is due.
 */
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

/** Returns all stored delayed events of a user: scheduled ones by due time, then the others, latest first. */
export async function loadDelayedEvents(db: Db, userId: UserId): Promise<DelayedEventRow[]> {
  const { rows } = await sql<DelayedEventRow>`select * from delayed_events where user_id = ${userId}
    order by finalised_ts desc nulls first, since_ts + delay_ms, delay_id`.execute(db.sql)
  return rows
}

/** Restarts the delay of a scheduled event; false if it is no longer scheduled. */
export async function restartDelayedEvent(tx: Tx, delayId: string, now: number): Promise<boolean> {
  const result = await sql`update delayed_events set since_ts = ${now}::bigint, ready_ts = ${now}::bigint + delay_ms
    where delay_id = ${delayId} and finalised_ts is null`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/**
 * Restarts the delays of several scheduled events, except of those that another transaction is changing. Returns those
 * that are no longer scheduled.
 */
export async function restartDelayedEvents(tx: Tx, delayIds: readonly string[], now: number): Promise<string[]> {
  if (delayIds.length === 0) return []
  await sql`update delayed_events set since_ts = ${now}::bigint, ready_ts = ${now}::bigint + delay_ms
    where delay_id in (select delay_id from delayed_events where delay_id = any(${delayIds}::text[])
      and finalised_ts is null for update skip locked)`.execute(tx.sql)
  const { rows } = await sql<{ delay_id: string }>`select delay_id from delayed_events
    where delay_id = any(${delayIds}::text[]) and finalised_ts is null`.execute(tx.sql)
  const scheduled = new Set(rows.map((row) => row.delay_id))
  return delayIds.filter((delayId) => !scheduled.has(delayId))
}

/**
 * Whether a delayed event is still scheduled; with `dueBy` (milliseconds since 1970): and due by then. Locks the row
 * until the transaction ends, so that no other process sends, restarts or cancels it. Lock order: after the room's.
 */
export async function claimDelayedEvent(
  db: Db,
  { delayId, dueBy }: { delayId: string; dueBy: number | null },
): Promise<boolean> {
  const { rows } = await sql`select 1 from delayed_events where delay_id = ${delayId} and finalised_ts is null
    and (${dueBy}::bigint is null or since_ts + delay_ms <= ${dueBy}::bigint) for update`.execute(db.sql)
  return rows.length > 0
}

/**
 * Stores the outcome of a scheduled event: sent as `eventId`, failed with `error`, or cancelled if neither is given.
 * False if it was already finished.
 */
export async function finaliseDelayedEvent(
  tx: Tx,
  { delayId, now, eventId, error }: { delayId: string; now: number; eventId?: EventId; error?: object },
): Promise<boolean> {
  const result = await sql`update delayed_events set finalised_ts = ${now}::bigint, event_id = ${eventId ?? null},
      error = ${error ? JSON.stringify(error) : null}
    where delay_id = ${delayId} and finalised_ts is null`.execute(tx.sql)
  return result.numAffectedRows === 1n
}

/** Acquires leases on due events until `until`, in the order in which they are due. */
export async function leaseDueEvents(
  tx: Tx,
  { now, until, limit }: { now: number; until: number; limit: number },
): Promise<DelayedEventRow[]> {
  const { rows } = await sql<DelayedEventRow>`update delayed_events set ready_ts = ${until}::bigint where delay_id in (
      select delay_id from delayed_events where finalised_ts is null and ready_ts <= ${now}::bigint
      order by ready_ts limit ${limit}::int for update skip locked) returning *`.execute(tx.sql)
  return rows.sort((a, b) => a.since_ts + a.delay_ms - b.since_ts - b.delay_ms)
}

/** Delays an event that could not be sent until `readyTs`. */
export async function postponeDelayedEvent(tx: Tx, delayId: string, readyTs: number): Promise<void> {
  await sql`update delayed_events set ready_ts = ${readyTs}::bigint
    where delay_id = ${delayId} and finalised_ts is null`.execute(tx.sql)
}

/** Returns when (milliseconds since 1970) the first scheduled event must be processed; null if there is none. */
export async function firstReady(db: Db): Promise<number | null> {
  const { rows } = await sql<{ first: number | null }>`select min(ready_ts) as first from delayed_events
    where finalised_ts is null`.execute(db.sql)
  return rows[0]!.first
}

/**
 * Deletes a user's events that were finished before `before` (milliseconds since 1970), and of the others all but the
 * latest `keep` that fit into the limit of bytes.
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

/** Deletes all delayed events of a user, even scheduled ones. */
export async function deleteDelayedEvents(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('delayed_events').where('user_id', '=', userId).execute()
}

/** Records with a stored event which delayed event it was. */
export async function markDelayedEvent(tx: Tx, event: AppendedEvent, delayId: string): Promise<void> {
  await tx.sql.updateTable('events').set({ delay_id: delayId }).where('event_nid', '=', event.event_nid).execute()
}
