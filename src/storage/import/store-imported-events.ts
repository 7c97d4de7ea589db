import { sql } from 'kysely'
import type { EventId, RoomId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { EventRow } from '../schema/rooms.ts'
import type { NewStreamRow } from '../schema/stream.ts'

/** An event as the import stores it. */
export type ImportedEvent = Omit<EventRow, 'delay_id' | 'soft_failed_reason'>

/** A row of the stream at a position that the source gave to it. */
export type PlacedStreamRow = NewStreamRow & { stream_position: number }

/** An event that the timeline references and does not have. */
export type ImportedGap = { room_id: RoomId; event_id: EventId; referrer_order: number }

/** Stores events; those that are stored already stay unchanged. */
export async function storeImportedEvents(tx: Tx, events: readonly ImportedEvent[]): Promise<void> {
  if (events.length === 0) return
  const column = <Name extends keyof ImportedEvent>(name: Name): ImportedEvent[Name][] =>
    events.map((event) => event[name])
  // Sends one text, whose parts need no escapes: JSON has no control characters.
  const texts = column('json').join('\u0001')
  await sql`insert into events (event_nid, event_id, room_id, event_order, type, state_key, sender, origin_server_ts,
      depth, json, state_before, state_after, room_before, room_after, rejected, soft_failed, redacted_by, relates_to,
      rel_type, txn_device_id, txn_id)
    select * from unnest(${column('event_nid')}::bigint[], ${column('event_id')}::text[], ${column('room_id')}::text[],
      ${column('event_order')}::bigint[], ${column('type')}::text[], ${column('state_key')}::text[],
      ${column('sender')}::text[], ${column('origin_server_ts')}::bigint[], ${column('depth')}::bigint[],
      string_to_array(${texts}, chr(1)), ${column('state_before')}::bigint[], ${column('state_after')}::bigint[],
      ${column('room_before')}::bigint[], ${column('room_after')}::bigint[], ${column('rejected')}::text[],
      ${column('soft_failed')}::boolean[], ${column('redacted_by')}::text[], ${column('relates_to')}::text[],
      ${column('rel_type')}::text[], ${column('txn_device_id')}::text[], ${column('txn_id')}::text[])
    on conflict do nothing`.execute(tx.sql)
}

/** Stores the stream rows of events at their positions, which lie below those that are handed out later. */
export async function storePlacedRows(tx: Tx, rows: readonly PlacedStreamRow[]): Promise<void> {
  if (rows.length === 0) return
  const column = <Name extends keyof PlacedStreamRow>(name: Name): PlacedStreamRow[Name][] =>
    rows.map((row) => row[name])
  await sql`insert into stream (stream_position, kind, room_id, user_id, ref, detail)
    select * from unnest(${column('stream_position')}::bigint[], ${column('kind')}::text[], ${column('room_id')}::text[],
      ${column('user_id')}::text[], ${column('ref')}::bigint[], ${column('detail')}::text[])
    on conflict do nothing`.execute(tx.sql)
}

/** Stores gaps; of several events that reference the same missing one, the newest counts. */
export async function storeImportedGaps(tx: Tx, gaps: readonly ImportedGap[]): Promise<void> {
  if (gaps.length === 0) return
  await sql`insert into missing_prev_events (room_id, event_id, referrer_order)
    select room_id, event_id, max(referrer_order) from unnest(${gaps.map((gap) => gap.room_id)}::text[],
      ${gaps.map((gap) => gap.event_id)}::text[], ${gaps.map((gap) => gap.referrer_order)}::bigint[])
      as gaps(room_id, event_id, referrer_order) group by room_id, event_id
    on conflict (room_id, event_id) do update
    set referrer_order = greatest(excluded.referrer_order, missing_prev_events.referrer_order)`.execute(tx.sql)
}

/** Returns the state after each stored event of some rooms, by nid. */
export async function loadStatesAfter(db: Db, roomIds: readonly RoomId[]): Promise<Map<number, number>> {
  // Events in the timeline and others have different indexes.
  const { rows } = await sql<{ event_nid: number; state_after: number }>`select event_nid, state_after from events
    where room_id = any(${roomIds}::text[]) and event_order is not null and state_after is not null
    union all select event_nid, state_after from events
    where room_id = any(${roomIds}::text[]) and event_order is null and state_after is not null`.execute(db.sql)
  return new Map(rows.map((row) => [row.event_nid, row.state_after]))
}
