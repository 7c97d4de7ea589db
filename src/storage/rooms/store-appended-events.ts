import { sql } from 'kysely'
import { redactedEventId } from '../../core/events/client-event.ts'
import { isUserId, type ServerName, type UserId } from '../../core/ids.ts'
import type { StateKey } from '../../core/pdu.ts'
import type { RoomVersion } from '../../core/room-versions.ts'
import { BUMP_TYPES } from '../../core/rooms/bump-types.ts'
import { relationOf } from '../../core/rooms/relations.ts'
import { searchableText } from '../../core/text/searchable-text.ts'
import type { Tx } from '../engine/database.ts'
import { storableText } from '../engine/storable-text.ts'
import { appendToStream } from '../engine/stream-append.ts'
import { allOf } from '../engine/transactions.ts'
import { queueStickyForNewServers } from '../federation/queue-sticky.ts'
import type { StoredEvent } from '../schema/stored-event.ts'
import type { NewStreamRow } from '../schema/stream.ts'
import { countStored } from './count-stored.ts'
import { noteGuestAccess } from './membership/guest-removals.ts'
import { readServerChanges, storeServerChanges } from './membership/other-servers.ts'
import { storePartialEvents } from './membership/partial-rooms.ts'
import { type MemberCountChange, type MembershipChangeRow, storeMemberships } from './membership/room-memberships.ts'
import { queueEvents, type ServerMoves } from './queue-events.ts'
import { type StateCountChange, storeRoomSummaries } from './room-summary.ts'
import { storeStickyEvents } from './sticky-events.ts'
import {
  type AppendedEvent,
  headOf,
  isNewForClients,
  type LockedRoom,
  roomIdOf,
  type StateChange,
} from './timeline/locked-room.ts'
import { noteRedactedState } from './timeline/redacted-state.ts'
import { countPresent, storeStateNodes } from './timeline/room-state.ts'
import { endTypingOfDeparted } from './typing.ts'

/**
 * Stores the events that the commands of a transaction appended: one statement per table, for any number of rooms and
 * events. `isLast`: nothing else is written, so that statements whose answers are not needed are sent with the commit.
 */
export async function storeAppendedEvents(
  tx: Tx,
  { ourName, now, isLast }: { ourName: ServerName; now: number; isLast: boolean },
  rooms: readonly LockedRoom[],
): Promise<void> {
  if (rooms.length === 0) return
  const events = rooms.flatMap((room) => room.events)
  const changes = rooms.flatMap((room) => currentStateChanges(room).map((change) => ({ room, change })))
  const members = changes
    .filter(({ change }) => isMembership(change))
    .map(({ room, change }) => ({ ...change, room_id: roomIdOf(room) }))
  const stateCounts = await countOtherState(tx, changes)
  const { counts, moves } =
    members.length === 0 ? NOBODY : await storeMembers(tx, { ourName, now }, { rooms, events, members })
  const storeRest = () =>
    allOf([
      members.length === 0 && storeTimelines(tx, rooms, events),
      storeRoomSummaries(tx, rooms, changes, [...counts, ...stateCounts]),
      noteGuestAccess(tx, changes),
      queueEvents(tx, ourName, rooms, moves),
      storeStickyEvents(tx, { ourName, now }, rooms),
    ])
  for (const row of rooms.flatMap(streamRowsOfRoom)) appendToStream(tx, row)
  countStored(tx, ourName, { events, counts })
  if (isLast) tx.sendWithCommit(storeRest)
  else await storeRest()
}

type Members = { counts: readonly MemberCountChange[]; moves: ServerMoves }
const NOBODY: Members = { counts: [], moves: { changes: [], departed: [] } }

/** Stores the events of a transaction that changes memberships, and the memberships. */
async function storeMembers(
  tx: Tx,
  { ourName, now }: { ourName: ServerName; now: number },
  {
    rooms,
    events,
    members,
  }: { rooms: readonly LockedRoom[]; events: readonly AppendedEvent[]; members: readonly MembershipChangeRow[] },
): Promise<Members> {
  // The order matters: the event of a new member is looked up, and the members' servers before the change must be read
  // before the change is stored.
  const [, changes, counts] = await allOf([
    storeTimelines(tx, rooms, events),
    readServerChanges(tx, ourName, members),
    storeMemberships(tx, ourName, members),
  ])
  const [departed] = await allOf([
    storeServerChanges(tx, changes),
    endTypingOfDeparted(
      tx,
      members.filter(isOutside).map(({ room_id, state_key }) => ({ roomId: room_id, userId: state_key })),
    ),
  ])
  const sticky = new Set(rooms.filter(({ stickyUntil }) => stickyUntil > now).map(roomIdOf))
  const gains = changes.filter(({ room_id, by }) => by > 0 && sticky.has(room_id))
  await queueStickyForNewServers(tx, gains, now)
  return { counts, moves: { changes, departed } }
}

/** Returns how the number of state events changes in each room, members aside. The trie's nodes are in the cache. */
async function countOtherState(
  tx: Tx,
  changes: readonly { room: LockedRoom; change: StateChange }[],
): Promise<StateCountChange[]> {
  const others = Map.groupBy(
    changes.filter(({ change }) => !isMembership(change)),
    ({ room }) => room,
  )
  return Promise.all(
    [...others].map(async ([room, of]) => {
      const keys = of.map(({ change }) => change)
      const before = await countPresent(tx, room.rootBefore, keys, { nodes: room.nodes, events: new Map() })
      return { room_id: roomIdOf(room), others: keys.filter(({ event }) => event).length - before }
    }),
  )
}

function isOutside({ event }: { event: StoredEvent | undefined }): boolean {
  return event?.pdu.content.membership !== 'join'
}

function storeTimelines(tx: Tx, rooms: readonly LockedRoom[], events: readonly AppendedEvent[]): Promise<unknown> {
  return allOf([
    // An event that was rejected and then accepted may occur twice.
    storeEvents(tx, [...new Map(events.map((event) => [event.event_nid, event])).values()]),
    storeStateNodes(
      tx,
      rooms.map((room) => ({ roomId: roomIdOf(room), nodes: room.nodes })),
    ),
    storeHeads(tx, rooms),
    storePartialEvents(tx, rooms),
    storeRedactions(tx, rooms),
  ])
}

/** Whether a state event is a membership; other servers may use any text in place of a user id. */
function isMembership({ type, state_key }: { type: string; state_key?: string | undefined }): boolean {
  return type === 'm.room.member' && state_key !== undefined && isUserId(state_key)
}

/** Returns the changes of the current state, including redactions of state events. */
function currentStateChanges(room: LockedRoom): StateChange[] {
  const last = new Map<string, StateChange>()
  for (const event of room.events)
    for (const change of event.current_changes ?? ownChange(event)) last.set(keyOf(change), change)
  for (const { event, wasCurrent } of room.redactions) {
    const { type, state_key } = event.pdu
    if (state_key === undefined) continue
    const change = { type, state_key, event }
    const present = last.get(keyOf(change))
    if (present ? present.event?.event_nid === event.event_nid : wasCurrent) last.set(keyOf(change), change)
  }
  return [...last.values()]
}

function keyOf({ type, state_key }: StateKey): string {
  return `${type}\0${state_key}`
}

/** Without forks, an accepted state event becomes part of the current state, and nothing else changes. */
function ownChange(event: AppendedEvent): StateChange[] {
  const { type, state_key } = event.pdu
  if (state_key === undefined || event.rejected || event.soft_failed || event.event_order === null) return []
  return [{ type, state_key, event }]
}

function streamRowsOfRoom(room: LockedRoom): NewStreamRow[] {
  const { version } = headOf(room)
  const rows = room.events.flatMap((event) => streamRowsOf(version, event))
  const details = new Set(rows.map(({ detail }) => detail))
  // A redaction that arrived before its target, or that is redacted itself, does not contain `redacts`.
  const others = room.redactions.map(({ event }) => redacts(event.event_id)).filter((detail) => !details.has(detail))
  return [
    ...rows,
    ...others.map((detail) => ({ ...NO_ROW, kind: 'history' as const, room_id: roomIdOf(room), detail })),
  ]
}

/** A row for the event, and one for each member whose current membership it changes without being its event. */
function streamRowsOf(version: RoomVersion, event: AppendedEvent): NewStreamRow[] {
  if (event.is_recomputed) return []
  // Other processes may have the event in their caches as it was.
  if (!isNewForClients(event)) {
    const changed = { ...NO_ROW, kind: 'event_changed' as const, ref: event.event_nid }
    return [...(event.was_stored ? [changed] : []), ...historyRows(version, event)]
  }
  const rows: NewStreamRow[] = [streamRowOf(version, event)]
  for (const { type, state_key, event: member } of event.current_changes ?? []) {
    if (!isMembership({ type, state_key }) || member?.event_nid === event.event_nid) continue
    const membership = storableText(String(member?.pdu.content.membership ?? 'leave'))
    rows.push({
      kind: 'state',
      room_id: event.room_id,
      user_id: state_key as UserId,
      ref: member?.event_nid ?? null,
      detail: membership,
    })
  }
  return rows
}

/** For the search index, and for caches that contain the target of a historical redaction. */
function historyRows(version: RoomVersion, event: AppendedEvent): NewStreamRow[] {
  if (!event.is_history || event.soft_failed) return []
  const row = { ...NO_ROW, kind: 'history' as const, ref: event.event_nid }
  if (event.pdu.type === 'm.room.redaction')
    return [{ ...row, room_id: event.room_id, detail: streamRowOf(version, event).detail }]
  return searchableText(event.pdu) === undefined ? [] : [row]
}

const NO_ROW = { room_id: null, user_id: null, ref: null, detail: null }

/** Returns the stream row of a new event. */
export function streamRowOf(version: RoomVersion, event: Pick<StoredEvent, 'pdu' | 'room_id' | 'event_nid'>) {
  const { type, state_key, content } = event.pdu
  const isMember = isMembership({ type, state_key })
  const redacted = redactedEventId(version, event.pdu)
  return {
    kind: 'event' as const,
    room_id: event.room_id,
    user_id: isMember ? (state_key as UserId) : null,
    ref: event.event_nid,
    detail: isMember ? storableText(String(content.membership)) : redacted ? redacts(redacted) : null,
  }
}

/** The stream detail of a redacted event. */
function redacts(eventId: string): string {
  return storableText(`redacts ${eventId}`)
}

/** An event that was an outlier or rejected keeps its nid, which states refer to. */
async function storeEvents(tx: Tx, events: readonly AppendedEvent[]): Promise<void> {
  const column = <Value>(pick: (event: AppendedEvent) => Value): Value[] => events.map(pick)
  const relations = events.map((event) => relationColumns(event))
  await sql`insert into events (event_nid, event_id, room_id, event_order, type, state_key, sender, origin_server_ts, depth, json,
      state_before, state_after, room_before, room_after, rejected, soft_failed, relates_to, rel_type, txn_device_id, txn_id)
    select * from unnest(${column((event) => event.event_nid)}::bigint[], ${column((event) => event.event_id)}::text[],
      ${column((event) => event.room_id)}::text[], ${column((event) => event.event_order)}::bigint[],
      ${column((event) => event.pdu.type)}::text[], ${column((event) => event.pdu.state_key ?? null)}::text[],
      ${column((event) => event.pdu.sender)}::text[], ${column((event) => event.pdu.origin_server_ts)}::bigint[],
      ${column((event) => event.pdu.depth)}::bigint[], ${column((event) => event.json)}::text[],
      ${column((event) => event.state_before)}::bigint[], ${column((event) => event.state_after)}::bigint[],
      ${column((event) => (event.room_before === event.state_before ? null : event.room_before))}::bigint[],
      ${column((event) => (event.room_after === event.state_after ? null : event.room_after))}::bigint[],
      ${column((event) => event.rejected_reason && storableText(event.rejected_reason))}::text[],
      ${column((event) => event.soft_failed)}::boolean[],
      ${relations.map((relation) => relation.relates_to)}::text[], ${relations.map((relation) => relation.rel_type)}::text[],
      ${column((event) => event.txn_device_id)}::text[], ${column((event) => event.txn_id)}::text[])
    on conflict (event_nid) do update set event_order = excluded.event_order, json = excluded.json,
      state_before = excluded.state_before, state_after = excluded.state_after, room_before = excluded.room_before,
      room_after = excluded.room_after, rejected = excluded.rejected, soft_failed = excluded.soft_failed,
      relates_to = excluded.relates_to, rel_type = excluded.rel_type`.execute(tx.sql)
}

/** https://spec.matrix.org/v1.19/client-server-api/#forming-relationships-between-events */
function relationColumns(event: AppendedEvent): { relates_to: string | null; rel_type: string | null } {
  const relation = relationOf(event.pdu.content)
  return { relates_to: relation?.event_id ?? null, rel_type: relation?.rel_type ?? null }
}

async function storeHeads(tx: Tx, rooms: readonly LockedRoom[]): Promise<void> {
  const heads = rooms.map(headOf)
  const activities = rooms.map(activityOf)
  await sql`with heads as (select *, case when is_active then nextval('room_activity') else 0 end as activity
    from unnest(${heads.map((head) => head.room_id)}::text[], ${heads.map((head) => head.version.id)}::text[],
      ${heads.map((head) => head.create_nid)}::bigint[], ${heads.map((head) => head.state_root)}::bigint[],
      ${heads.map((head) => head.depth)}::bigint[], ${heads.map((head) => head.next_order)}::bigint[],
      ${heads.map((head) => head.forward_extremities.join(' '))}::text[], ${activities.map(({ isActive }) => isActive)}::boolean[],
      ${activities.map(({ isBumped }) => isBumped)}::boolean[])
      as heads(room_id, room_version, create_nid, state_root, depth, next_order, forward_extremities, is_active, is_bumped)),
    active as (insert into active_rooms select room_id from heads where is_active on conflict do nothing)
    insert into room_heads (room_id, room_version, create_nid, state_root, depth, next_order, forward_extremities, activity, bump)
    select room_id, room_version, create_nid, state_root, depth, next_order, string_to_array(forward_extremities, ' '), activity,
      case when is_bumped then activity else 0 end from heads
    on conflict (room_id) do update set state_root = excluded.state_root, depth = excluded.depth,
      next_order = excluded.next_order, forward_extremities = excluded.forward_extremities,
      activity = greatest(room_heads.activity, excluded.activity), bump = greatest(room_heads.bump, excluded.bump)`.execute(
    tx.sql,
  )
}

/** Whether the new events move the room up in lists sorted by last event, and in those sorted by bump stamp. */
function activityOf({ events }: LockedRoom): { isActive: boolean; isBumped: boolean } {
  const fresh = events.filter(isNewForClients)
  return { isActive: fresh.length > 0, isBumped: fresh.some(({ pdu }) => BUMP_TYPES.has(pdu.type)) }
}

async function storeRedactions(tx: Tx, rooms: readonly LockedRoom[]): Promise<void> {
  const redactions = rooms.flatMap((room) => room.redactions)
  if (redactions.length === 0) return
  const emptied =
    sql`update events set json = redactions.json, redacted_by = redactions.redacted_by, relates_to = null, rel_type = null
    from unnest(${redactions.map(({ event }) => event.event_id)}::text[], ${redactions.map(({ json }) => json)}::text[],
      ${redactions.map(({ event }) => event.redacted_by)}::text[]) as redactions(event_id, json, redacted_by)
    where events.event_id = redactions.event_id and events.redacted_by is null`.execute(tx.sql)
  await allOf([emptied, noteRedactedState(tx, rooms)])
}
