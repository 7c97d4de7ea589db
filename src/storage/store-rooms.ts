import { sql } from 'kysely'
import type { Tx } from './database.ts'
import { type AppendedEvent, headOf, type LockedRoom, roomIdOf } from './locked-room.ts'
import { storeMemberships } from './room-memberships.ts'
import { storeStateNodes } from './room-state.ts'
import { storeRoomSummaries } from './room-summaries.ts'
import { storableText } from './storable-text.ts'
import { appendToStream } from './stream-append.ts'

/** Writes what the commands of a transaction appended: one statement for each table, whatever the number of rooms and events. */
export async function storeRooms(tx: Tx, rooms: readonly LockedRoom[]): Promise<void> {
  if (rooms.length === 0) return
  const events = rooms.flatMap((room) => room.events)
  await storeEvents(tx, events)
  await storeStateNodes(
    tx,
    rooms.map((room) => ({ roomId: roomIdOf(room), nodes: room.nodes })),
  )
  await storeHeads(tx, rooms)
  await storeRedactions(tx, rooms)
  const stateEvents = rooms.flatMap((room) => currentStateEvents(room).map((event) => ({ room, event })))
  const members = stateEvents.filter(({ event }) => event.pdu.type === 'm.room.member')
  const counts = await storeMemberships(
    tx,
    members.map(({ event }) => event),
  )
  await storeRoomSummaries(tx, rooms, stateEvents, counts)
  for (const event of events)
    if (event.event_order !== null && !event.soft_failed) appendToStream(tx, streamRowOf(event))
}

/** The last event for each piece of state, of those that became part of the state. */
function currentStateEvents(room: LockedRoom): AppendedEvent[] {
  const last = new Map<string, AppendedEvent>()
  for (const event of room.events) {
    const { type, state_key } = event.pdu
    if (state_key === undefined || event.rejected || event.soft_failed || event.event_order === null) continue
    last.set(`${type}\0${state_key}`, event)
  }
  return [...last.values()]
}

function streamRowOf(event: AppendedEvent) {
  const { type, state_key, content, redacts } = event.pdu
  const isMember = type === 'm.room.member' && state_key !== undefined
  const redacted = type === 'm.room.redaction' ? (redacts ?? content.redacts) : undefined
  return {
    kind: 'event' as const,
    room_id: event.room_id,
    user_id: isMember ? (state_key as typeof event.pdu.sender) : null,
    ref: event.event_nid,
    detail: isMember ? storableText(String(content.membership)) : redacted ? storableText(`redacts ${redacted}`) : null,
  }
}

async function storeEvents(tx: Tx, events: readonly AppendedEvent[]): Promise<void> {
  const column = <Value>(pick: (event: AppendedEvent) => Value): Value[] => events.map(pick)
  const relations = events.map((event) => relationColumns(event))
  await sql`insert into events (event_nid, event_id, room_id, event_order, type, state_key, sender, origin_server_ts, depth, json,
      state_before, state_after, rejected, soft_failed, relates_to, rel_type, txn_device_id, txn_id)
    select * from unnest(${column((event) => event.event_nid)}::bigint[], ${column((event) => event.event_id)}::text[],
      ${column((event) => event.room_id)}::text[], ${column((event) => event.event_order)}::bigint[],
      ${column((event) => event.pdu.type)}::text[], ${column((event) => event.pdu.state_key ?? null)}::text[],
      ${column((event) => event.pdu.sender)}::text[], ${column((event) => event.pdu.origin_server_ts)}::bigint[],
      ${column((event) => event.pdu.depth)}::bigint[], ${column((event) => event.json)}::text[],
      ${column((event) => event.state_before)}::bigint[], ${column((event) => event.state_after)}::bigint[],
      ${column((event) => event.rejected_reason)}::text[], ${column((event) => event.soft_failed)}::boolean[],
      ${relations.map((relation) => relation.relates_to)}::text[], ${relations.map((relation) => relation.rel_type)}::text[],
      ${column((event) => event.txn_device_id)}::text[], ${column((event) => event.txn_id)}::text[])`.execute(tx.sql)
}

/** https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events */
function relationColumns(event: AppendedEvent): { relates_to: string | null; rel_type: string | null } {
  const relation = event.pdu.content['m.relates_to']
  if (typeof relation !== 'object' || relation === null || Array.isArray(relation))
    return { relates_to: null, rel_type: null }
  const { event_id, rel_type } = relation
  if (typeof event_id !== 'string' || typeof rel_type !== 'string') return { relates_to: null, rel_type: null }
  return { relates_to: storableText(event_id), rel_type: storableText(rel_type) }
}

async function storeHeads(tx: Tx, rooms: readonly LockedRoom[]): Promise<void> {
  const heads = rooms.map(headOf)
  await sql`insert into room_heads (room_id, room_version, create_nid, state_root, depth, next_order, forward_extremities)
    select room_id, room_version, create_nid, state_root, depth, next_order, string_to_array(forward_extremities, ' ')
    from unnest(${heads.map((head) => head.room_id)}::text[], ${heads.map((head) => head.version.id)}::text[],
      ${heads.map((head) => head.create_nid)}::bigint[], ${heads.map((head) => head.state_root)}::bigint[],
      ${heads.map((head) => head.depth)}::bigint[], ${heads.map((head) => head.next_order)}::bigint[],
      ${heads.map((head) => head.forward_extremities.join(' '))}::text[])
      as heads(room_id, room_version, create_nid, state_root, depth, next_order, forward_extremities)
    on conflict (room_id) do update set state_root = excluded.state_root, depth = excluded.depth,
      next_order = excluded.next_order, forward_extremities = excluded.forward_extremities`.execute(tx.sql)
}

async function storeRedactions(tx: Tx, rooms: readonly LockedRoom[]): Promise<void> {
  const redactions = rooms.flatMap((room) => room.redactions)
  if (redactions.length === 0) return
  await sql`update events set json = redactions.json, redacted_by = redactions.redacted_by, relates_to = null, rel_type = null
    from unnest(${redactions.map((redaction) => redaction.event_id)}::text[], ${redactions.map((redaction) => redaction.json)}::text[],
      ${redactions.map((redaction) => redaction.redacted_by)}::text[]) as redactions(event_id, json, redacted_by)
    where events.event_id = redactions.event_id`.execute(tx.sql)
}
