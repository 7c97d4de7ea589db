import { sql } from 'kysely'
import type { RoomId, ServerName } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { Lease } from '../engine/lease.ts'
import type { InboxRow } from '../schema/federation-inbox.ts'

/** A verified event that has just arrived. */
export type NewInboxRow = Pick<InboxRow, 'room_id' | 'event_id' | 'origin' | 'pdu' | 'is_early'>

/** The counted bytes of an event in the inbox in addition to its text. */
const ROW_BYTES = 200

/**
 * Returns the response to a transaction, if it was received before, and the bytes of the server's events in the inbox.
 */
export async function lookUpTransaction(
  db: Db,
  origin: ServerName,
  txnId: string,
): Promise<{ answer: string | undefined; waitingBytes: number }> {
  const { rows } = await sql<{ answer: string | null; waiting: number }>`select
    (select answer from federation_transactions where origin = ${origin} and txn_id = ${txnId}) as answer,
    (select coalesce(sum(pg_column_size(pdu) + ${ROW_BYTES}::int), 0)::bigint from federation_inbox where origin = ${origin}) as waiting`.execute(
    db.sql,
  )
  return { answer: rows[0]?.answer ?? undefined, waitingBytes: Number(rows[0]?.waiting ?? 0) }
}

/** Records a received transaction and its response. */
export async function storeReceivedTransaction(
  tx: Tx,
  transaction: { origin: ServerName; txnId: string; now: number; answer: string },
): Promise<void> {
  const { origin, txnId, now, answer } = transaction
  await sql`insert into federation_transactions (origin, txn_id, received_ts, answer)
    values (${origin}, ${txnId}, ${now}::bigint, ${answer}) on conflict do nothing`.execute(tx.sql)
}

/** Deletes transactions from before `before`: they are not repeated any more. */
export async function forgetTransactions(tx: Tx, before: number): Promise<void> {
  await sql`delete from federation_transactions where received_ts < ${before}::bigint`.execute(tx.sql)
}

/**
 * Adds events to the inbox; one that is there already is retried immediately, with the server that sent it last as
 * origin. Of equal events the first one is used.
 */
export async function storeInInbox(tx: Tx, arrived: readonly NewInboxRow[], now: number): Promise<void> {
  const events = [...new Map(arrived.toReversed().map((event) => [event.event_id, event])).values()].reverse()
  if (events.length === 0) return
  await sql`insert into federation_inbox (room_id, event_id, origin, pdu, received_ts, is_early)
    select room_id, event_id, origin, pdu, ${now}::bigint, is_early from unnest(${events.map((event) => event.room_id)}::text[],
      ${events.map((event) => event.event_id)}::text[], ${events.map((event) => event.origin)}::text[],
      ${events.map((event) => event.pdu)}::text[], ${events.map((event) => event.is_early)}::boolean[])
      with ordinality as new(room_id, event_id, origin, pdu, is_early, place) order by place
    on conflict (event_id) do update set origin = excluded.origin, is_early = excluded.is_early, retry_ts = 0,
      arrivals = federation_inbox.arrivals + 1`.execute(tx.sql)
  const rooms = [...new Set(events.map((event) => event.room_id))].sort()
  await sql`insert into federation_inbox_rooms (room_id) select * from unnest(${rooms}::text[])
    on conflict (room_id) do update set arrivals = federation_inbox_rooms.arrivals + 1,
      leased_until = case when federation_inbox_rooms.leased_by is null then 0 else federation_inbox_rooms.leased_until end`.execute(
    tx.sql,
  )
}

/** Acquires leases on rooms without a lease, the longest waiting first, except rooms that are being joined. */
export async function leaseInboxRooms(
  tx: Tx,
  { holder, now, until, limit }: Lease & { limit: number },
): Promise<RoomId[]> {
  const { rows } = await sql<{ room_id: RoomId }>`update federation_inbox_rooms
    set leased_by = ${holder}, leased_until = ${until}::bigint where room_id in (
      select room_id from federation_inbox_rooms where leased_until <= ${now}::bigint and not exists (
        select 1 from room_joins where room_joins.room_id = federation_inbox_rooms.room_id and expires_ts > ${now}::bigint)
      order by leased_until limit ${limit}::int for update skip locked) returning room_id`.execute(tx.sql)
  return rows.map((row) => row.room_id)
}

/** Renews the leases of a holder. */
export async function renewInboxLeases(tx: Tx, { holder, until }: Pick<Lease, 'holder' | 'until'>): Promise<void> {
  await sql`update federation_inbox_rooms set leased_until = ${until}::bigint where leased_by = ${holder}`.execute(
    tx.sql,
  )
}

/** Releases all leases of this process when it stops. */
export async function releaseInboxRooms(tx: Tx, holder: string): Promise<void> {
  await sql`update federation_inbox_rooms set leased_by = null, leased_until = 0 where leased_by = ${holder}`.execute(
    tx.sql,
  )
}

export type InboxPage = { roomId: RoomId; holder: string; now: number; limit: number; except: readonly ServerName[] }

/**
 * Returns the next events of a room that are not in back-off and not from certain servers, and the room's arrival count
 * before the read. undefined: `holder` no longer has the lease, as happens to a process that was suspended for longer
 * than a lease.
 */
export async function loadInbox(
  db: Db,
  { roomId, holder, now, limit, except }: InboxPage,
): Promise<{ arrivals: number; events: InboxRow[] } | undefined> {
  const held = await sql<{ arrivals: number }>`select arrivals from federation_inbox_rooms
    where room_id = ${roomId} and leased_by = ${holder}`.execute(db.sql)
  const [room] = held.rows
  if (!room) return undefined
  const { rows } = await sql<InboxRow>`select * from federation_inbox where room_id = ${roomId}
    and retry_ts <= ${now}::bigint and origin <> all(${except}::text[]) order by inbox_nid limit ${limit}::int`.execute(
    db.sql,
  )
  return { arrivals: room.arrivals, events: rows }
}

/**
 * Ends the work on a room until the next back-off of an event ends. False if an event has arrived since `arrivals` was
 * read.
 */
export async function finishInboxRoom(
  tx: Tx,
  { roomId, holder, arrivals }: { roomId: RoomId; holder: string; arrivals: number },
): Promise<boolean> {
  const next = await sql<{ retry_ts: number | null }>`select min(retry_ts) as retry_ts from federation_inbox
    where room_id = ${roomId}`.execute(tx.sql)
  const retryTs = next.rows[0]?.retry_ts ?? null
  const { rows } =
    retryTs === null
      ? await sql`delete from federation_inbox_rooms where room_id = ${roomId} and leased_by = ${holder}
          and arrivals = ${arrivals}::bigint returning 1`.execute(tx.sql)
      : await sql`update federation_inbox_rooms set leased_by = null, leased_until = ${retryTs}::bigint
          where room_id = ${roomId} and leased_by = ${holder} and arrivals = ${arrivals}::bigint returning 1`.execute(
          tx.sql,
        )
  return rows.length > 0
}

/** Removes events from the inbox; one that has arrived again in the meantime stays. */
export async function removeFromInbox(
  tx: Tx,
  events: readonly Pick<InboxRow, 'inbox_nid' | 'arrivals'>[],
): Promise<void> {
  await sql`delete from federation_inbox using unnest(${events.map((event) => event.inbox_nid)}::bigint[],
      ${events.map((event) => event.arrivals)}::int[]) as done(inbox_nid, arrivals)
    where federation_inbox.inbox_nid = done.inbox_nid and federation_inbox.arrivals = done.arrivals`.execute(tx.sql)
}

/**
 * Sets the back-off of a server's events in a room after the server could not help with an event, unless that event has
 * arrived again in the meantime.
 */
export async function restInInbox(
  tx: Tx,
  { room_id: roomId, origin, inbox_nid: nid, arrivals }: InboxRow,
  retryTs: number,
): Promise<void> {
  await sql`update federation_inbox set attempts = attempts + 1, retry_ts = ${retryTs}::bigint
    where room_id = ${roomId} and origin = ${origin} and not exists (
      select 1 from federation_inbox as again where again.inbox_nid = ${nid} and again.arrivals <> ${arrivals}::int)`.execute(
    tx.sql,
  )
}

/** Returns the arrival counts of some rooms since their inboxes were last empty. */
export async function findInboxArrivals(db: Db, rooms: readonly RoomId[]): Promise<Map<RoomId, number>> {
  const { rows } = await sql<{ room_id: RoomId; arrivals: number }>`select room_id, arrivals from federation_inbox_rooms
    where room_id = any(${rooms}::text[])`.execute(db.sql)
  return new Map(rows.map(({ room_id, arrivals }) => [room_id, arrivals]))
}
