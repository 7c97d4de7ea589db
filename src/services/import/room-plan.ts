import type { EventId, RoomId } from '../../core/ids.ts'
import { ROOM_VERSIONS, type RoomVersion } from '../../core/room-versions.ts'
import { loadStatesAfter } from '../../storage/import/store-imported-events.ts'
import type { ImportContext } from './import-step.ts'

/** outlier: without a place in the timeline; history: fetched from other servers; live: as it arrived. */
type Phase = 'outlier' | 'history' | 'live'
const PHASES: Readonly<Record<Phase, number>> = { outlier: 0, history: 1, live: 2 }

/** An event of Synapse, before it is read. */
export type PlannedEvent = {
  event_id: EventId
  room_id: RoomId
  /** Synapse's stream_ordering; negative for history. */
  ordering: number
  phase: Phase
  rejected: boolean
  /** Root of the state after it; 0: not known yet. */
  stateAfter: number
}

type PlannedRoom = {
  version: RoomVersion
  isPublic: boolean
  /** How many events of its timeline are history. */
  history: number
}

/** Events of some rooms in the order in which they are imported: each room's outliers, its history, its live events. */
export type ImportPlan = {
  rooms: ReadonlyMap<RoomId, PlannedRoom>
  events: readonly PlannedEvent[]
  byId: ReadonlyMap<string, PlannedEvent>
}

/** Old room versions permit greater depths, which JavaScript cannot represent. */
const MAX_DEPTH = Number.MAX_SAFE_INTEGER

/** Rooms that are imported together have about as many events. */
const EVENTS_AT_ONCE = 2000

/** Returns all rooms with events, in order, with their number of events. */
export async function loadRoomSizes({
  main,
}: Pick<ImportContext, 'main'>): Promise<{ room_id: RoomId; count: number }[]> {
  const rooms = await main.query<{ room_id: RoomId; count: number }>(
    'select room_id, count(*) as count from events group by room_id',
  )
  return rooms.sort((a, b) => (a.room_id < b.room_id ? -1 : 1))
}

/** Returns the rooms after one that are imported together: one large room, or many small ones. */
export function nextRooms(sizes: readonly { room_id: RoomId; count: number }[], after: string): RoomId[] {
  const chosen: RoomId[] = []
  let events = 0
  for (const { room_id, count } of sizes) {
    if (room_id <= after) continue
    if (chosen.length > 0 && events + count > EVENTS_AT_ONCE) break
    chosen.push(room_id)
    events += count
  }
  return chosen
}

type EventRow = {
  event_id: EventId
  room_id: RoomId
  stream_ordering: number
  depth: number
  outlier: unknown
  is_rejected: unknown
}

/** Plans the import of some rooms. Rooms of unknown versions are left out. */
export async function planImport(context: ImportContext, roomIds: readonly RoomId[]): Promise<ImportPlan> {
  const rows = await context.main.query<EventRow>(
    `select events.event_id, room_id, stream_ordering, outlier, rejections.event_id is not null as is_rejected,
        case when depth > ${MAX_DEPTH} then ${MAX_DEPTH} else depth end as depth
      from events left join rejections on rejections.event_id = events.event_id where room_id = any($1)`,
    [roomIds],
  )
  const versions = await loadVersions(context, roomIds)
  const states = await loadStatesAfter(context.database, roomIds)
  const sorted = rows
    .filter(({ room_id }) => versions.has(room_id))
    .map((row) => ({ ...row, phase: phaseOf(row) }))
    .sort(byOrder)
  const events = sorted.map(
    ({ event_id, room_id, stream_ordering, phase, is_rejected }): PlannedEvent => ({
      event_id,
      room_id,
      ordering: stream_ordering,
      phase,
      rejected: Boolean(is_rejected),
      stateAfter: states.get(stream_ordering + context.extent.nidShift) ?? 0,
    }),
  )
  const history = Map.groupBy(
    events.filter(({ phase, rejected }) => phase === 'history' && !rejected),
    ({ room_id }) => room_id,
  )
  return {
    rooms: new Map(
      [...versions].map(([roomId, room]) => [roomId, { ...room, history: history.get(roomId)?.length ?? 0 }]),
    ),
    events,
    byId: new Map(events.map((event) => [event.event_id, event])),
  }
}

function phaseOf({ outlier, stream_ordering }: EventRow): Phase {
  if (outlier) return 'outlier'
  return stream_ordering < 0 ? 'history' : 'live'
}

type Sortable = EventRow & { phase: Phase }

/** The numbers of history say when it was fetched; its depth says which events are older. */
function byOrder(one: Sortable, other: Sortable): number {
  if (one.room_id !== other.room_id) return one.room_id < other.room_id ? -1 : 1
  if (one.phase !== other.phase) return PHASES[one.phase] - PHASES[other.phase]
  if (one.phase === 'history' && one.depth !== other.depth) return one.depth - other.depth
  return one.stream_ordering - other.stream_ordering
}

/** Old rows have no version: the create event tells it. */
async function loadVersions(
  { main, note }: ImportContext,
  roomIds: readonly RoomId[],
): Promise<Map<RoomId, Omit<PlannedRoom, 'history'>>> {
  const known = await main.query<{ room_id: RoomId; room_version: string | null; is_public: unknown }>(
    'select room_id, room_version, is_public from rooms where room_id = any($1)',
    [roomIds],
  )
  const versionOf = new Map(known.map((row) => [row.room_id, row.room_version]))
  const unknown = roomIds.filter((roomId) => versionOf.get(roomId) == null)
  const creates = await main.query<{ room_id: RoomId; json: string }>(
    `select events.room_id, json from events join event_json on event_json.event_id = events.event_id
      where events.room_id = any($1) and events.type = 'm.room.create'`,
    [unknown],
  )
  for (const { room_id, json } of creates) versionOf.set(room_id, JSON.parse(json).content?.room_version ?? '1')
  const isPublic = new Map(known.map((row) => [row.room_id, Boolean(row.is_public)]))
  const versions = new Map<RoomId, Omit<PlannedRoom, 'history'>>()
  for (const roomId of roomIds) {
    const id = versionOf.get(roomId)
    const version = id == null ? undefined : ROOM_VERSIONS.get(id)
    if (version) versions.set(roomId, { version, isPublic: isPublic.get(roomId) ?? false })
    else note(`room ${roomId}: its version ${id ?? 'is not known'}${id == null ? '' : ' is not supported'}`)
  }
  return versions
}
