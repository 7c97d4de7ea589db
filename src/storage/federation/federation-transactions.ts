import { type RawBuilder, sql } from 'kysely'
import type { EventId, RoomId, ServerName } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { allOf } from '../engine/transactions.ts'

/** Who sends, and until when nobody else may (milliseconds since 1970). */
export type Lease = { holder: string; now: number; until: number }

/** A transaction to be sent: events and EDUs by number. `failures`: how often in a row the destination has failed by now. */
export type OutgoingTransaction = { txnId: string; events: number[]; edus: number[]; failures: number }

/** What to do for a destination: to send this, or, where it was down for long, to bring it up to date (`catchUp`). Whoever is told so has it. */
export type NextStep = OutgoingTransaction | 'catch up'

/** A destination, and what its next transaction is to be called if it is a new one. */
export type Wanted = { destination: ServerName; txnId: string }

/** https://spec.matrix.org/v1.19/server-server-api/#transactions */
const MAX_EVENTS = 50
const MAX_EDUS = 100
/** Characters of EDUs in a transaction, unless a single one is longer. */
const MAX_EDU_SIZE = 1_000_000
/** Rooms that a destination is brought up to date with at once, and how many of the latest events of each. */
const CATCH_UP_ROOMS = 16
const CATCH_UP_EVENTS = 3

// Who writes the rows of several destinations locks them in the order of their names, and then the EDUs in the order of destination and key: so no
// two processes wait for each other.

type Taken = {
  destination: ServerName
  txn_id: string | null
  txn_events: number[] | null
  txn_edus: number[] | null
  failures: number
}

/**
 * Takes destinations, and what is to be sent to each: the transaction that was under way when its last holder failed, or a new one. Absent are those
 * that another process has, that rest after a failure, or for which nothing waits.
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

/** Destinations have taken what was `sent`; returns what comes next for each. Absent: nothing waits, and the destination is free again. */
export async function finishTransactions(
  tx: Tx,
  { holder, until }: Lease,
  finished: readonly (Wanted & { sent: OutgoingTransaction })[],
): Promise<Map<ServerName, NextStep>> {
  // From here until the commit nobody else looks whether something waits: who queues while we do finds the destination free afterwards.
  const { rows } = await sql<{ destination: ServerName }>`with ended as (
      select destination from federation_destinations
        join unnest(${finished.map(({ destination }) => destination)}::text[], ${finished.map(({ sent }) => sent.txnId)}::text[])
          as sent(destination, sent_id) using (destination)
      where leased_by = ${holder} and txn_id = sent_id order by destination for update of federation_destinations
    )
    update federation_destinations set txn_id = null, txn_events = null, txn_edus = null,
      failures = 0, failing_since = null, retry_ts = 0, leased_until = ${until}::bigint, wake_ts = ${until}::bigint
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

/** Chooses the next transaction of a destination that this process has, which brings it up to date with rooms of which it missed something. */
export async function catchUp(
  tx: Tx,
  { holder, until }: Lease,
  { destination, txnId }: Wanted,
): Promise<NextStep | undefined> {
  const { rows } =
    await sql`update federation_destinations set leased_until = ${until}::bigint, wake_ts = ${until}::bigint
    where destination = ${destination} and leased_by = ${holder} and txn_id is null returning 1`.execute(tx.sql)
  if (rows.length === 0) return undefined
  const noted = await takeNotes(tx, destination)
  return (await chooseNext(tx, [{ destination, txnId }], noted)).get(destination)
}

function transactionOf({ txn_events, txn_edus, failures }: Taken, txnId: string): OutgoingTransaction {
  return { txnId, events: txn_events ?? [], edus: txn_edus ?? [], failures }
}

/**
 * Chooses for destinations whose rows this transaction has locked; those for which nothing waits are free from then on. `noted`: events for all of them
 * that bring them up to date; without it, nothing is chosen where there is something to be caught up with. Looks by itself whether there is, for what was
 * seen before the lock may be old.
 */
async function chooseNext(
  tx: Tx,
  wanted: readonly Wanted[],
  noted?: readonly number[],
): Promise<Map<ServerName, NextStep>> {
  if (wanted.length === 0) return new Map()
  // Events leave the queue for the transaction; EDUs stay, but nothing replaces them any more.
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
      wake_ts = case when is_some or has_notes then wake_ts end, is_lagging = is_lagging and (is_some or has_notes)
    from chosen where it.destination = chosen.destination
    returning it.destination, txn_id, txn_events, txn_edus, failures, has_notes`.execute(tx.sql)
  const steps = new Map<ServerName, NextStep>()
  for (const row of rows) {
    if (row.txn_id !== null) steps.set(row.destination, transactionOf(row, row.txn_id))
    else if (row.has_notes) steps.set(row.destination, 'catch up')
  }
  return steps
}

/** The latest events of some rooms in which a destination missed something; what came before is for the destination to ask for. */
async function takeNotes(tx: Tx, destination: ServerName): Promise<number[]> {
  await sql`delete from federation_room_notes as notes where destination = ${destination} and not exists (
    select 1 from room_servers where room_servers.room_id = notes.room_id and server_name = ${destination})`.execute(
    tx.sql,
  )
  const { rows: notes } = await sql<{ room_id: RoomId }>`select room_id from federation_room_notes
    where destination = ${destination} order by room_id limit ${CATCH_UP_ROOMS}::int`.execute(tx.sql)
  const rooms = notes.map((note) => note.room_id)
  // Waits for those who are adding events, as they may have found a note that is taken away here; nobody who has a room waits for a destination.
  const { rows: heads } = await sql<{
    extremities: EventId[]
  }>`select forward_extremities as extremities from room_heads
    where room_id = any(${rooms}::text[]) order by room_id for share`.execute(tx.sql)
  await sql`delete from federation_room_notes where destination = ${destination}
    and room_id = any(${rooms}::text[])`.execute(tx.sql)
  const latest = heads.flatMap(({ extremities }) => extremities.slice(-CATCH_UP_EVENTS))
  const { rows } = await sql<{ event_nid: number }>`select event_nid from events where event_id = any(${latest}::text[])
    order by depth, event_nid`.execute(tx.sql)
  return rows.map((row) => row.event_nid)
}

/** What a failure means for a destination; times in milliseconds since 1970. */
export type SendingFailure = {
  now: number
  retryAt: number
  /** Down since before this: from now on rooms are only noted. */
  lagsIfBefore: number
  /** The destination does not want the transaction: its EDUs are dropped, its events only noted. */
  isRefused: boolean
}

/** Lets a destination rest after a failure. The transaction stays as it is, unless the destination has been down for long. */
export async function failTransaction(
  tx: Tx,
  { destination, holder }: { destination: ServerName; holder: string },
  failure: SendingFailure,
): Promise<void> {
  const { rows } = await sql<{ failing_since: number; txn_edus: number[] | null }>`update federation_destinations
    set leased_by = null, leased_until = 0, failures = failures + 1, retry_ts = ${failure.retryAt}::bigint,
      wake_ts = ${failure.retryAt}::bigint, failing_since = coalesce(failing_since, ${failure.now}::bigint)
    where destination = ${destination} and leased_by = ${holder} returning failing_since, txn_edus`.execute(tx.sql)
  const state = rows[0]
  if (!state) return
  await deleteEdus(tx, sql`destination = ${destination} and is_ephemeral`)
  if (failure.isRefused) {
    await sql`delete from federation_edus where edu_nid = any(${state.txn_edus ?? []}::bigint[])`.execute(tx.sql)
  }
  if (failure.isRefused || state.failing_since <= failure.lagsIfBefore || (await hasLongQueue(tx, destination))) {
    await startLagging(tx, destination)
  }
}

async function deleteEdus(tx: Tx, which: RawBuilder<unknown>): Promise<void> {
  await sql`delete from federation_edus where edu_nid = any(array(
    select edu_nid from federation_edus where ${which} order by destination, edu_key for update))`.execute(tx.sql)
}

/** Events for a destination that are kept one by one while it fails. */
const MAX_QUEUED = 500
/** Messages to devices, and changes of devices, that are kept for a destination that is down for long. */
const MAX_KEPT_EDUS = 5000

async function hasLongQueue(tx: Tx, destination: ServerName): Promise<boolean> {
  const { rows } = await sql`select 1 from federation_queue where destination = ${destination}
    order by queue_nid offset ${MAX_QUEUED}::int limit 1`.execute(tx.sql)
  return rows.length > 0
}

/** Turns what waits into a note for each room, but where the destination is in the room no more: there it is the last thing that it has to know. */
async function startLagging(tx: Tx, destination: ServerName): Promise<void> {
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
  await sql`update federation_destinations set is_lagging = true, txn_id = null, txn_events = null, txn_edus = null
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

/** Takes all other servers for such as are down for long: while federation is switched off, rooms are only noted. */
export async function lagAllDestinations(tx: Tx): Promise<void> {
  await sql`insert into federation_destinations (destination, is_lagging)
    select distinct server_name, true from room_servers order by server_name
    on conflict (destination) do update set is_lagging = true`.execute(tx.sql)
}

/** Gives destinations back at once, with the transactions under way: this process stops. */
export async function releaseDestinations(tx: Tx, holder: string): Promise<void> {
  await sql`with held as (
      select destination from federation_destinations where leased_by = ${holder} order by destination for update
    )
    update federation_destinations set leased_by = null, leased_until = 0, wake_ts = 0
    from held where federation_destinations.destination = held.destination`.execute(tx.sql)
}

/** Keeps destinations whose requests take long. */
export async function extendLeases(
  tx: Tx,
  { holder, destinations, until }: { holder: string; destinations: readonly ServerName[]; until: number },
): Promise<void> {
  await sql`with held as (
      select destination from federation_destinations
      where destination = any(${destinations}::text[]) and leased_by = ${holder} order by destination for update
    )
    update federation_destinations set leased_until = ${until}::bigint, wake_ts = ${until}::bigint
    from held where federation_destinations.destination = held.destination`.execute(tx.sql)
}

/** Destinations that have rested long enough, or whose holder has died. */
export async function findDueDestinations(db: Db, now: number, limit: number): Promise<ServerName[]> {
  const { rows } = await sql<{ destination: ServerName }>`select destination from federation_destinations
    where wake_ts <= ${now}::bigint order by wake_ts limit ${limit}::int`.execute(db.sql)
  return rows.map((row) => row.destination)
}

/** The numbers of the last event and EDU that were queued. */
export type OutboxMark = { event: number; edu: number }

/** What has been queued from the beginning on. */
export const OUTBOX_START: OutboxMark = { event: 0, edu: 0 }

/**
 * Destinations for which something was queued after `since` and still waits, and that nobody looks after: who queued it died before sending.
 * Also how far the outbox goes now.
 */
export async function findForgottenDestinations(
  db: Db,
  since: OutboxMark,
): Promise<{ destinations: ServerName[]; mark: OutboxMark }> {
  const marks = await sql<{ event: number | null; edu: number | null }>`select
    (select max(queue_nid) from federation_queue) as event, (select max(edu_nid) from federation_edus) as edu`.execute(
    db.sql,
  )
  const { event, edu } = marks.rows[0]!
  const { rows } = await sql<{ destination: ServerName }>`select destination from (
      select destination from federation_queue where queue_nid > ${since.event}::bigint
      union select destination from federation_edus where edu_nid > ${since.edu}::bigint
      union select destination from federation_room_notes where ${since === OUTBOX_START}
    ) as waiting left join federation_destinations using (destination) where wake_ts is null`.execute(db.sql)
  return {
    destinations: rows.map((row) => row.destination),
    mark: { event: Math.max(event ?? 0, since.event), edu: Math.max(edu ?? 0, since.edu) },
  }
}

/** Ends a destination's rest: it is alive. False if it was not resting. */
export async function endRest(tx: Tx, destination: ServerName): Promise<boolean> {
  const { rows } = await sql`update federation_destinations set retry_ts = 0, wake_ts = 0
    where destination = ${destination} and retry_ts > 0 and leased_by is null returning 1`.execute(tx.sql)
  return rows.length > 0
}

/** What waits, for the figures that a server keeps of itself; rows are counted up to `limit`. */
export async function countOutbox(
  db: Db,
  limit: number,
): Promise<{ events: number; edus: number; failing: number; lagging: number }> {
  const { rows } = await sql<{ events: number; edus: number; failing: number; lagging: number }>`select
    (select count(*)::int from (select 1 from federation_queue limit ${limit}::int) as queued) as events,
    (select count(*)::int from (select 1 from federation_edus limit ${limit}::int) as queued) as edus,
    (select count(*)::int from federation_destinations where wake_ts is not null and failures > 0) as failing,
    (select count(*)::int from federation_destinations where wake_ts is not null and is_lagging) as lagging`.execute(
    db.sql,
  )
  return rows[0]!
}
