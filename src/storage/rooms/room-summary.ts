import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Json, JsonObject, Pdu } from '../../core/pdu.ts'
import { lifetimeIn } from '../../core/rooms/retention.ts'
import { plainTopic } from '../../core/text/plain-topic.ts'
import type { Db, Tx } from '../engine/database.ts'
import { shownText, storableName } from '../engine/storable-text.ts'
import { allOf } from '../engine/transactions.ts'
import type { RoomRow } from '../schema/rooms.ts'
import type { MemberCountChange } from './membership/room-memberships.ts'
import { headOf, type LockedRoom, roomIdOf, type StateChange } from './timeline/locked-room.ts'

type SummaryField =
  | 'name'
  | 'topic'
  | 'canonical_alias'
  | 'avatar_url'
  | 'join_rule'
  | 'guest_access'
  | 'history_visibility'
  | 'encryption'
  | 'tombstone'
  | 'max_lifetime'
  | 'min_lifetime'

type Source = { field: SummaryField; valueIn(content: JsonObject): string | number | null }

/** The state event and content key of each field. A Map, because types may be names such as `constructor`. */
const SOURCES: ReadonlyMap<string, readonly Source[]> = new Map([
  ['m.room.name', ofKey('name', 'name')],
  ['m.room.topic', [{ field: 'topic', valueIn: (content) => textOf(plainTopic(content)) }]],
  ['m.room.canonical_alias', ofKey('canonical_alias', 'alias')],
  ['m.room.avatar', ofKey('avatar_url', 'url')],
  ['m.room.join_rules', ofKey('join_rule', 'join_rule')],
  ['m.room.guest_access', ofKey('guest_access', 'guest_access')],
  ['m.room.history_visibility', ofKey('history_visibility', 'history_visibility')],
  ['m.room.encryption', ofKey('encryption', 'algorithm')],
  ['m.room.tombstone', ofKey('tombstone', 'replacement_room')],
  ['m.room.retention', [lifetime('max_lifetime'), lifetime('min_lifetime')]],
])

function ofKey(field: SummaryField, key: string): Source[] {
  return [{ field, valueIn: (content) => textOf(content[key]) }]
}

function lifetime(field: 'max_lifetime' | 'min_lifetime'): Source {
  return { field, valueIn: (content) => lifetimeIn(content, field) ?? null }
}

function textOf(value: Json | undefined): string | null {
  return typeof value === 'string' && value !== '' ? shownText(value) : null
}

/** The change of the number of a room's state events, members aside. */
export type StateCountChange = { room_id: RoomId; others: number }

/** Updates `rooms` after state changes: rows for new rooms, changed fields and counts. */
export async function storeRoomSummaries(
  tx: Tx,
  rooms: readonly LockedRoom[],
  changes: readonly { room: LockedRoom; change: StateChange }[],
  counts: readonly (MemberCountChange | StateCountChange)[],
): Promise<void> {
  await allOf([
    ...rooms.filter((room) => room.isNew).map((room) => insertRoom(tx, room)),
    ...changes.map(({ room, change }) => storeField(tx, room, change)),
    addRoomCounts(tx, counts),
  ])
}

/** The types of state events, with an empty state key, that the summary of a room contains. */
export const SUMMARISED_TYPES: readonly string[] = [...SOURCES.keys()]

/** The fields that these events determine. */
export const SUMMARY_FIELDS: readonly SummaryField[] = [...SOURCES.values()].flat().map(({ field }) => field)

/** Returns the fields of a summary that a state event with an empty state key determines. */
export function summaryFields({
  type,
  content,
}: Pick<Pdu, 'type' | 'content'>): Partial<Record<SummaryField, string | number>> {
  const values = (SOURCES.get(type) ?? []).map(({ field, valueIn }) => [field, valueIn(content)] as const)
  return Object.fromEntries(values.filter(([, value]) => value !== null))
}

/** Returns the column of a room's type. */
export function roomTypeOf({ content }: Pick<Pdu, 'content'>): string | null {
  return typeof content.type === 'string' ? storableName(content.type) : null
}

/** Whether the create event lets other servers into the room. */
export function isFederatable({ content }: Pick<Pdu, 'content'>): boolean {
  return content['m.federate'] !== false
}

function storeField(tx: Tx, room: LockedRoom, change: StateChange): Promise<unknown> {
  const sources = change.state_key === '' ? (SOURCES.get(change.type) ?? []) : []
  return allOf(
    sources.map((source) => {
      const value = change.event ? source.valueIn(change.event.pdu.content) : null
      return tx.sql
        .updateTable('rooms')
        .set({ [source.field]: value })
        .where('room_id', '=', roomIdOf(room))
        .execute()
    }),
  )
}

/** Applies changes of a room's counts. */
export async function addRoomCounts(tx: Tx, counts: readonly (MemberCountChange | StateCountChange)[]): Promise<void> {
  const zero = { joined: 0, joined_local: 0, invited: 0, all: 0, others: 0 }
  const changed = counts
    .map((count) => ({ ...zero, ...count }))
    .filter(({ room_id: _room, ...changes }) => Object.values(changes).some((by) => by !== 0))
  if (changed.length === 0) return
  const column = (name: keyof typeof zero) => changed.map((change) => change[name])
  // A room may occur several times: for new members, departed ones, and other state.
  await sql`update rooms set joined_members = joined_members + joined, joined_local_members = joined_local_members + joined_local,
      invited_members = invited_members + invited, member_events = member_events + members,
      other_state_events = other_state_events + others
    from (select room_id, sum(joined) as joined, sum(joined_local) as joined_local, sum(invited) as invited,
        sum(members) as members, sum(others) as others
      from unnest(${changed.map(({ room_id }) => room_id)}::text[], ${column('joined')}::int[],
        ${column('joined_local')}::int[], ${column('invited')}::int[], ${column('all')}::int[], ${column('others')}::int[])
        as counts(room_id, joined, joined_local, invited, members, others) group by room_id) as changed
    where rooms.room_id = changed.room_id`.execute(tx.sql)
}

async function insertRoom(tx: Tx, room: LockedRoom): Promise<void> {
  const head = headOf(room)
  const create = room.events
    .flatMap((event) => [event, ...(event.current_changes ?? []).map((change) => change.event)])
    .find((event) => event?.pdu.type === 'm.room.create')
  if (!create) throw new Error(`the new room ${head.room_id} has no create event`)
  await sql`insert into rooms (room_id, room_version, creator, room_type, federatable)
    values (${head.room_id}, ${head.version.id}, ${create.pdu.sender}, ${roomTypeOf(create.pdu)},
      ${isFederatable(create.pdu)})`.execute(tx.sql)
}

/** Returns the summary of a room; undefined if this server does not have it. */
export async function findRoom(db: Db, roomId: RoomId): Promise<RoomRow | undefined> {
  return (await loadRooms(db, [roomId])).get(roomId)
}

/** Returns the summaries of some rooms. */
async function loadRooms(db: Db, roomIds: readonly RoomId[]): Promise<Map<RoomId, RoomRow>> {
  const { rows } = await sql<RoomRow>`select * from rooms where room_id = any(${roomIds}::text[])`.execute(db.sql)
  return new Map(rows.map((row) => [row.room_id, row]))
}

/** Adds a room to the directory of public rooms, or removes it. */
export async function setInDirectory(tx: Tx, roomId: RoomId, listed: boolean): Promise<void> {
  await sql`update rooms set in_directory = ${listed} where room_id = ${roomId}`.execute(tx.sql)
}
