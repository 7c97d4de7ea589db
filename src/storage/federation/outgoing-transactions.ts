import { type RawBuilder, sql } from 'kysely'
import type { EventId, RoomId, ServerName } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'
import type { Lease } from '../engine/lease.ts'
import { allOf } from '../engine/transactions.ts'
import { queueStickyForCatchUp } from './queue-sticky.ts'

/** A transaction to be sent: events and EDUs by number. `failures`: the destination's consecutive failures. */
export type OutgoingTransaction = { txnId: string; events: number[]; edus: number[]; failures: number }

/**
 * The next step for a destination, whose lease the caller then holds: send a transaction or, if it was down for long,
 * start the catch-up (`catchUp`).
 */
export type NextStep = OutgoingTransaction | 'catch up'

/** A destination, and the transaction id to use if a new transaction is created. */
export type Wanted = { destination: ServerName; txnId: string }

/** https://spec.matrix.org/v1.19/server-server-api/#transactions */
const MAX_EVENTS = 50
const MAX_EDUS = 100
/** The maximum characters of EDUs in a transaction, unless a single one is longer. */
const MAX_EDU_SIZE = 1_000_000
/** The rooms in one step of a catch-up, and the latest events of each. */
const CATCH_UP_ROOMS = 16
const CATCH_UP_EVENTS = 3

// Lock order: the rows of several destinations by name, and then the EDUs by destination and key. So two processes
// cannot deadlock.

type Taken = {
  destination: ServerName
  txn_id: string | null
  txn_events: number[] | null
  txn_edus: number[] | null
  failures: number
}

/**
 * Acquires the leases of destinations, and returns what to send to each: the pending transaction of a failed lease
 * holder, or a new one. Absent: destinations that another process holds, that are in back-off, or with an empty outbox.
 */
export async function takeTransactions(
  tx: Tx,
  { holder, now, until }: Lease,
  wanted: readonly Wanted[],
): Promise<Map<ServerName, NextStep>> {
  const { rows } = await sql<Taken>`insert into federation_destinations (destination, leased_by, leased_until, wake_ts)
    select destination, ${holder}::text, ${until}::bigint, ${until}::bigint
    from unnest(${wanted.map(({ destination }) => destination)}::text[]) as wanted(destination) order by destination
    on conflict (destination) do update set leased_by = excluded.leased_by, leased_until = excluded.leased_until,
      wake_ts = excluded.wake_ts
    where federation_destinations.leased_until <= ${now}::bigint and federation_destinations.retry_ts <= ${now}::bigint
    returning destination, txn_id, txn_events, txn_edus, failures`.execute(tx.sql)
  const isUnderWay = new Set(rows.flatMap((row) => (row.txn_id === null ? [] : row.destination)))
  const taken = new Set(rows.map((row) => row.destination))
  const steps = await chooseNext(
    tx,
    wanted.filter(({ destination }) => taken.has(destination) && !isUnderWay.has(destination)),
  )
  for (const row of rows) if (row.txn_id !== null) steps.set(row.destination, transactionOf(row, row.txn_id))
  return steps
}

/**
 * Marks the transactions in `sent` as accepted; returns the next step of each destination. Absent: the outbox is empty,
 * and the lease is released.
 */
export async function finishTransactions(
  tx: Tx,
  { holder, until }: Lease,
  finished: readonly (Wanted & { sent: OutgoingTransaction })[],
): Promise<Map<ServerName, NextStep>> {
  // From here until the commit no other transaction checks the outbox: one that enqueues in the meantime finds the
  // destination without a lease afterwards.
  const { rows } = await sql<{ destination: ServerName }>`with ended as (
      select destination from federation_destinations
        join unnest(${finished.map(({ destination }) => destination)}::text[], ${finished.map(({ sent }) => sent.txnId)}::text[])
          as sent(destination, sent_id) using (destination)
      where leased_by = ${holder} and txn_id = sent_id order by destination for update of federation_destinations
    )
    update federation_destinations set txn_id = null, txn_events = null, txn_edus = null,
      failures = 0, failing_since = null, failed_ts = null, retry_ts = 0,
      accepted_nid = greatest(accepted_nid, (select max(accepted) from unnest(txn_events) as accepted)),
      leased_until = ${until}::bigint, wake_ts = ${until}::bigint
    from ended where federation_destinations.destination = ended.destination
    returning ended.destination`.execute(tx.sql)
  const ended = new Set(rows.map((row) => row.destination))
  const held = finished.filter(({ destination }) => ended.has(destination))
  const [, steps] = await allOf([
    forgetSent(
      tx,
      held.flatMap(({ sent }) => sent.edus),
    ),
    chooseNext(tx, held),
  ])
  return steps
}

async function forgetSent(tx: Tx, edus: readonly number[]): Promise<void> {
  if (edus.length === 0) return
  await sql`delete from federation_edus where edu_nid = any(${edus}::bigint[])`.execute(tx.sql)
}

/**
 * Chooses the next transaction of a destination in catch-up, from rooms of which it missed events. This process must
 * hold the lease.
 */
export async function catchUp(
  tx: Tx,
  { holder, until, now }: Lease,
  { destination, txnId }: Wanted,
): Promise<NextStep | undefined> {
  const { rows } =
    await sql`update federation_destinations set leased_until = ${until}::bigint, wake_ts = ${until}::bigint
    where destination = ${destination} and leased_by = ${holder} and txn_id is null returning 1`.execute(tx.sql)
  if (rows.length === 0) return undefined
  const noted = await takeNotes(tx, destination, now)
  return (await chooseNext(tx, [{ destination, txnId }], noted)).get(destination)
}

function transactionOf({ txn_events, txn_edus, failures }: Taken, txnId: string): OutgoingTransaction {
  return { txnId, events: txn_events ?? [], edus: txn_edus ?? [], failures }
}

/**
 * Chooses transactions for destinations whose rows this transaction has locked, and releases those with an empty
 * outbox. `noted`: catch-up events for all of them; without it, chooses nothing for destinations that need a catch-up.
 * Checks the outbox again, because a check before the lock may be outdated.
 */
async function chooseNext(
  tx: Tx,
  wanted: readonly Wanted[],
  noted?: readonly number[],
): Promise<Map<ServerName, NextStep>> {
  if (wanted.length === 0) return new Map()
  // Events are moved from the queue into the transaction; EDUs stay, but can no longer be replaced.
  const { rows } = await sql<Taken & { has_notes: boolean }>`with asked as (
      select destination, new_id, exists (select 1 from federation_room_notes as notes
        where notes.destination = wanted.destination) as has_notes
      from unnest(${wanted.map(({ destination }) => destination)}::text[], ${wanted.map(({ txnId }) => txnId)}::text[])
        as wanted(destination, new_id)
    ), served as (
      select destination from asked where not has_notes or ${noted !== undefined}::boolean
    ), queued as (
      delete from federation_queue where queue_nid = any(array(
        select queue_nid from served cross join lateral (
          select queue_nid from federation_queue where federation_queue.destination = served.destination
          order by queue_nid limit ${MAX_EVENTS - (noted?.length ?? 0)}::int) as first_ones))
      returning destination, queue_nid, event_nid
    ), edus as (
      select destination, edu_nid, edu_key from served cross join lateral (
        select edu_nid, edu_key, sum(length(content)) over (order by edu_nid) - length(content) as size_before
        from (select edu_nid, edu_key, content from federation_edus where federation_edus.destination = served.destination
          order by edu_nid limit ${MAX_EDUS}::int) as first_ones) as sized
      where size_before < ${MAX_EDU_SIZE}::int
    ), replaceable as (
      select edu_nid from federation_edus where edu_nid = any(array(select edu_nid from edus where edu_key is not null))
      order by destination, edu_key for update
    ), fixed as (
      update federation_edus set edu_key = null from replaceable where federation_edus.edu_nid = replaceable.edu_nid
    ), chosen as (
      select destination, new_id, has_notes, events, edus, cardinality(events) > 0 or cardinality(edus) > 0 as is_some
      from (
        select destination, new_id, has_notes,
          coalesce(waiting_events, '{}') || ${noted ?? []}::bigint[] as events, coalesce(waiting_edus, '{}') as edus
        from asked
          left join (select destination, array_agg(event_nid order by queue_nid) as waiting_events
            from queued group by destination) as queued using (destination)
          left join (select destination, array_agg(edu_nid order by edu_nid) as waiting_edus
            from edus group by destination) as edus using (destination)
      ) as found
    )
    update federation_destinations as it set txn_id = case when is_some then new_id end,
      txn_events = case when is_some then events end, txn_edus = case when is_some then edus end,
      leased_by = case when is_some or has_notes then leased_by end,
      leased_until = case when is_some or has_notes then leased_until else 0 end,
      wake_ts = case when is_some or has_notes then wake_ts end, needs_catch_up = needs_catch_up and (is_some or has_notes)
    from chosen where it.destination = chosen.destination
    returning it.destination, txn_id, txn_events, txn_edus, failures, has_notes`.execute(tx.sql)
  const steps = new Map<ServerName, NextStep>()
  for (const row of rows) {
    if (row.txn_id !== null) steps.set(row.destination, transactionOf(row, row.txn_id))
    else if (row.has_notes) steps.set(row.destination, 'catch up')
  }
  return steps
}

/**
 * Returns the latest events of some rooms of which a destination missed events; it can request earlier ones itself.
 * Enqueues the sticky events of these rooms.
 */
async function takeNotes(tx: Tx, destination: ServerName, now: number): Promise<number[]> {
  await sql`delete from federation_room_notes as notes where destination = ${destination} and not exists (
    select 1 from room_servers where room_servers.room_id = notes.room_id and server_name = ${destination})`.execute(
    tx.sql,
  )
  const { rows: notes } = await sql<{ room_id: RoomId }>`select room_id from federation_room_notes
    where destination = ${destination} order by room_id limit ${CATCH_UP_ROOMS}::int`.execute(tx.sql)
  const rooms = notes.map((note) => note.room_id)
  // Waits for transactions that append events, which may rely on a mark that is deleted here. A transaction that holds
  // a room never waits for a destination.
  const { rows: heads } = await sql<{
    room_id: RoomId
    extremities: EventId[]
    sticky_until: number
  }>`select room_id, forward_extremities as extremities, sticky_until from room_heads
    where room_id = any(${rooms}::text[]) order by room_id for share`.execute(tx.sql)
  await sql`delete from federation_room_notes where destination = ${destination}
    and room_id = any(${rooms}::text[])`.execute(tx.sql)
  const latest = heads.flatMap(({ extremities }) => extremities.slice(-CATCH_UP_EVENTS))
  const withSticky = heads.filter((head) => head.sticky_until > now).map((head) => head.room_id)
  await queueStickyForCatchUp(tx, destination, { roomIds: withSticky, latest, now })
  const { rows } = await sql<{ event_nid: number }>`select event_nid from events where event_id = any(${latest}::text[])
    order by depth, event_nid`.execute(tx.sql)
  return rows.map((row) => row.event_nid)
}

/** The consequences of a failure; times in milliseconds since 1970. */
export type SendingFailure = {
  now: number
  retryAt: number
  /** If down since before this, the destination needs a catch-up: from now on only rooms are marked. */
  catchUpIfBefore: number
  /** The destination refuses the transaction: its EDUs are dropped, and its events become marks. */
  isRefused: boolean
}

/**
 * Sets the back-off of a destination after a failure. The transaction is kept, unless the destination has been down for
 * long.
 */
export async function failTransaction(
  tx: Tx,
  { destination, holder }: { destination: ServerName; holder: string },
  failure: SendingFailure,
): Promise<void> {
  const { rows } = await sql<{ failing_since: number; txn_edus: number[] | null }>`update federation_destinations
    set leased_by = null, leased_until = 0, failures = failures + 1, retry_ts = ${failure.retryAt}::bigint,
      wake_ts = ${failure.retryAt}::bigint, failing_since = coalesce(failing_since, ${failure.now}::bigint),
      failed_ts = ${failure.now}::bigint
    where destination = ${destination} and leased_by = ${holder} returning failing_since, txn_edus`.execute(tx.sql)
  const state = rows[0]
  if (!state) return
  await deleteEdus(tx, sql`destination = ${destination} and is_ephemeral`)
  if (failure.isRefused) {
    await sql`delete from federation_edus where edu_nid = any(${state.txn_edus ?? []}::bigint[])`.execute(tx.sql)
  }
  if (failure.isRefused || state.failing_since <= failure.catchUpIfBefore || (await hasLongQueue(tx, destination))) {
    await startCatchUp(tx, destination)
  }
}

async function deleteEdus(tx: Tx, which: RawBuilder<unknown>): Promise<void> {
  await sql`delete from federation_edus where edu_nid = any(array(
    select edu_nid from federation_edus where ${which} order by destination, edu_key for update))`.execute(tx.sql)
}

/** The maximum number of queued events for a failing destination. */
const MAX_QUEUED = 500
/** The maximum number of EDUs with to-device messages and device changes for a destination that needs a catch-up. */
const MAX_KEPT_EDUS = 5000

async function hasLongQueue(tx: Tx, destination: ServerName): Promise<boolean> {
  const { rows } = await sql`select 1 from federation_queue where destination = ${destination}
    order by queue_nid offset ${MAX_QUEUED}::int limit 1`.execute(tx.sql)
  return rows.length > 0
}

/**
 * Replaces queued events by a mark for each room, except in rooms that the destination has left: there they are its
 * last events.
 */
async function startCatchUp(tx: Tx, destination: ServerName): Promise<void> {
  await sql`with waiting as (
      select queue_nid, room_id, event_nid from federation_queue where destination = ${destination}
      union all
      select null, events.room_id, events.event_nid from federation_destinations, unnest(txn_events) as chosen(event_nid)
        join events using (event_nid) where destination = ${destination}
    ), present as (
      select waiting.* from waiting join room_servers using (room_id) where server_name = ${destination}
    ), noted as (
      insert into federation_room_notes (destination, room_id) select distinct ${destination}, room_id from present
      order by room_id on conflict do nothing
    ), requeued as (
      insert into federation_queue (destination, room_id, event_nid) select ${destination}, room_id, event_nid from waiting
      where queue_nid is null and not exists (select 1 from present where present.event_nid = waiting.event_nid)
    )
    delete from federation_queue where queue_nid in (select queue_nid from present)`.execute(tx.sql)
  await sql`update federation_destinations set needs_catch_up = true, txn_id = null, txn_events = null, txn_edus = null
    where destination = ${destination}`.execute(tx.sql)
  await deleteEdus(
    tx,
    sql`destination = ${destination} and (edu_type = 'm.receipt'
      or exists (select 1 from federation_edus as newer where newer.destination = ${destination}
        and newer.subject = federation_edus.subject and newer.edu_type = federation_edus.edu_type
        and newer.edu_nid > federation_edus.edu_nid)
      or edu_nid <= (select edu_nid from federation_edus where destination = ${destination}
        order by edu_nid desc offset ${MAX_KEPT_EDUS}::int limit 1))`,
  )
}
