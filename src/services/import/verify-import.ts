import { isDeepStrictEqual } from 'node:util'
import { redact } from '../../core/events/redaction.ts'
import { eventIdOf } from '../../core/events/reference-hash.ts'
import type { EventId, RoomId } from '../../core/ids.ts'
import type { Pdu } from '../../core/pdu.ts'
import { ROOM_VERSIONS } from '../../core/room-versions.ts'
import type { Database } from '../../storage/engine/database.ts'
import { countRows, type ImportedRoomState, loadImportedRooms } from '../../storage/import/imported-state.ts'
import { findImport, loadImportSteps } from '../../storage/import/imports.ts'
import { findEventNids } from '../../storage/rooms/timeline/event-nids.ts'
import { loadEventsById } from '../../storage/rooms/timeline/events.ts'
import { readStateNids } from '../../storage/rooms/timeline/room-state.ts'
import type { Tables } from '../../storage/schema/tables.ts'
import type { ImportContext, ImportStep } from './import-step.ts'
import { fingerprintOfSources, importSteps } from './run-import.ts'

/** The numbers of compared objects, and each difference. */
export type Verification = { rooms: number; events: number; differences: string[] }

const ROOMS_AT_ONCE = 100
/** Events of a room that are compared, chosen at random. */
const EVENTS_OF_ROOM = 100
const IDS_AT_ONCE = 10_000

/**
 * Compares an import with Synapse: the number of rows, and of each room the current state, the forward extremities and
 * random events. Right after the import: a server that has run since then has changed its rooms.
 */
export async function verifyImport(context: ImportContext): Promise<Verification> {
  const found = await verifyRooms(context)
  const counts = await compareCounts(context, importSteps(context))
  return { ...found, differences: [...(await findChanges(context)), ...counts, ...found.differences] }
}

/** Compares the rooms. */
export async function verifyRooms(context: ImportContext): Promise<Verification> {
  const found: Verification = { rooms: 0, events: 0, differences: [] }
  let rooms: ImportedRoomState[] = []
  do {
    rooms = await loadImportedRooms(context.database, rooms.at(-1)?.room_id ?? '', ROOMS_AT_ONCE)
    for (const room of rooms) await verifyRoom(context, room, found)
    found.rooms += rooms.length
  } while (rooms.length === ROOMS_AT_ONCE)
  return found
}

/** A Synapse that ran somewhere during the import, or after it, would be a second server of the same name. */
async function findChanges(context: ImportContext): Promise<string[]> {
  const known = await findImport(context.database)
  if (known?.fingerprint === (await fingerprintOfSources(context))) return []
  return ['Synapse has changed its database since the import began: stop it, and import again into an empty database']
}

/** Compares the rows of some steps with those that were read, and with the stored ones. */
export async function compareCounts(context: ImportContext, steps: readonly ImportStep[]): Promise<string[]> {
  const expected = new Map<keyof Tables, number>()
  const done = await loadImportSteps(context.database)
  const differences: string[] = []
  for (const step of steps) {
    const total = await step.count?.(context)
    if (total === undefined) continue
    const read = done.get(step.name)?.rows_read ?? 0
    if (total !== read) differences.push(`${step.name}: Synapse has ${total}, ${read} were read`)
    if (step.table) expected.set(step.table, (expected.get(step.table) ?? 0) + total)
  }
  for (const [table, total] of expected) {
    const stored = await countRows(context.database, table)
    // More may come from MAS.
    if (stored < total) differences.push(`table ${table}: ${total - stored} of ${total} rows are missing`)
  }
  return differences
}

async function verifyRoom(context: ImportContext, room: ImportedRoomState, found: Verification): Promise<void> {
  const { main, database } = context
  const { room_id: roomId } = room
  const differs = (what: string) => found.differences.push(`room ${roomId}: ${what}`)
  const current = await main.query<{ event_id: EventId }>(
    'select event_id from current_state_events where room_id = $1',
    [roomId],
  )
  const here = new Set(await readStateNids(database, room.state_root))
  const nids = await findEventNids(
    database,
    current.map(({ event_id }) => event_id),
  )
  // Synapse forgets the current state of rooms that it has left.
  if (
    current.length > 0 &&
    (current.length !== here.size || current.some(({ event_id }) => !here.has(nids.get(event_id)?.event_nid ?? 0)))
  )
    differs(`the current state has ${here.size} events, Synapse's has ${current.length}, and they differ`)
  const extremities = await main.query<{ event_id: EventId }>(
    'select event_id from event_forward_extremities where room_id = $1',
    [roomId],
  )
  const missing = extremities.filter(({ event_id }) => !room.forward_extremities.includes(event_id))
  // Synapse has lost those of some rooms: the import computes them.
  const expected = extremities.length || Math.max(room.forward_extremities.length, 1)
  if (missing.length > 0 || expected !== room.forward_extremities.length)
    differs(`the forward extremities are ${room.forward_extremities.join(' ')}`)
  found.events += await verifyEvents(context, room, differs)
}

async function verifyEvents(
  { main, database, random }: ImportContext,
  { room_id: roomId, room_version }: ImportedRoomState,
  differs: (what: string) => void,
): Promise<number> {
  const all = await main.query<{ event_id: EventId }>(
    `select events.event_id from events join event_json on event_json.event_id = events.event_id
      where events.room_id = $1`,
    [roomId],
  )
  const stored = await countStoredEvents(database, all)
  if (stored < all.length) differs(`${all.length - stored} of ${all.length} events are missing`)
  const chosen = shuffled(all, random.bytes(EVENTS_OF_ROOM * 4)).slice(0, EVENTS_OF_ROOM)
  const ids = chosen.map(({ event_id }) => event_id)
  const texts = await main.query<{ event_id: EventId; json: string }>(
    'select event_id, json from event_json where event_id = any($1)',
    [ids],
  )
  const version = ROOM_VERSIONS.get(room_version)!
  const loaded = new Map((await loadEventsById(database, ids)).map((event) => [event.event_id, event]))
  for (const { event_id, json } of texts) {
    const event = loaded.get(event_id)
    const { unsigned: _unsigned, ...pdu } = JSON.parse(json) as Pdu
    if (!event) differs(`${event_id} is missing`)
    else if (event.room_id !== (roomId as RoomId)) differs(`${event_id} is in another room`)
    else if (eventIdOf(version, event.pdu) !== event_id) differs(`the hash of ${event_id} is wrong`)
    else if (!isDeepStrictEqual(event.pdu, event.redacted_by ? redact(version, pdu as Pdu) : pdu))
      differs(`${event_id} differs`)
  }
  return ids.length
}

async function countStoredEvents(database: Database, events: readonly { event_id: EventId }[]): Promise<number> {
  let stored = 0
  for (let from = 0; from < events.length; from += IDS_AT_ONCE) {
    const ids = events.slice(from, from + IDS_AT_ONCE).map(({ event_id }) => event_id)
    stored += (await findEventNids(database, ids)).size
  }
  return stored
}

/** Moves random elements to the front: each draw uses four of the bytes. */
function shuffled<Element>(elements: readonly Element[], bytes: Uint8Array): Element[] {
  const list = [...elements]
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let place = 0; place < Math.min(list.length, bytes.length / 4); place++) {
    const other = place + (view.getUint32(place * 4) % (list.length - place))
    const taken = list[other]!
    list[other] = list[place]!
    list[place] = taken
  }
  return list
}
