import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { EventId, RoomId, ServerName } from '../../../core/ids.ts'
import type { Pdu } from '../../../core/pdu.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { loadRoomVersions } from '../../../storage/rooms/timeline/room-versions.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { findEventNear } from '../../rooms/reading/event-at-time.ts'
import { requireInRoom } from '../trust/require-in-room.ts'
import { pdusForServer } from './pdus-for-server.ts'

type Reading = Pick<App, 'database'>
type Asking = { origin: ServerName; roomId: RoomId }

const MAX_MISSING = 50
const MAX_BACKFILL = 100

/**
 * Returns an event by ID to another server in its room. Throws M_NOT_FOUND, and M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1eventeventid
 */
export async function serveEvent(app: Reading, origin: ServerName, eventId: EventId): Promise<Pdu> {
  const [event] = await loadEventsById(app.database, [eventId])
  if (!event) throw new NotFoundError(`There is no event ${eventId} here`)
  await requireInRoom(app, event.room_id, origin)
  const [pdu] = await servedEvents(app, { origin, roomId: event.room_id }, [event])
  return pdu!
}

/**
 * Returns the events between some that a server has and newer ones, exclusive, oldest first. Throws M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/server-server-api/#post_matrixfederationv1get_missing_eventsroomid
 */
export async function serveMissingEvents(
  app: Reading,
  asking: Asking,
  gap: { earliest: readonly EventId[]; latest: readonly EventId[]; limit: number; minDepth: number },
): Promise<Pdu[]> {
  await requireInRoom(app, asking.roomId, asking.origin)
  const known = new Set([...gap.earliest, ...gap.latest])
  const limit = Math.min(gap.limit, MAX_MISSING)
  const found: StoredEvent[] = []
  let last = await eventsOf(app, asking.roomId, gap.latest)
  while (last.length > 0 && found.length < limit) {
    const wanted = [...new Set(last.flatMap((event) => event.prev_event_ids))].filter((id) => !known.has(id))
    for (const id of wanted) known.add(id)
    const events = await eventsOf(app, asking.roomId, wanted)
    last = events.filter((event) => !event.rejected && event.pdu.depth >= gap.minDepth).slice(0, limit - found.length)
    found.push(...last)
  }
  return servedEvents(app, asking, found.reverse())
}

/**
 * Returns some events and their predecessors, newest first. Throws M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1backfillroomid
 */
export async function serveBackfill(
  app: Reading,
  asking: Asking,
  { from, limit }: { from: readonly EventId[]; limit: number },
): Promise<Pdu[]> {
  await requireInRoom(app, asking.roomId, asking.origin)
  const wanted = Math.min(limit, MAX_BACKFILL)
  const known = new Set(from)
  const found: StoredEvent[] = []
  let open = await eventsOf(app, asking.roomId, from)
  while (open.length > 0 && found.length < wanted) {
    open.sort((a, b) => b.pdu.depth - a.pdu.depth)
    // Only the deepest ones: predecessors of those may be newer than the others.
    const next = open.filter((event) => event.pdu.depth === open[0]!.pdu.depth)
    found.push(...next)
    const behind = [...new Set(next.flatMap((event) => event.prev_event_ids))].filter((id) => !known.has(id))
    for (const id of behind) known.add(id)
    open = [...open.filter((event) => !next.includes(event)), ...(await eventsOf(app, asking.roomId, behind))]
  }
  return servedEvents(app, asking, found.slice(0, wanted))
}

/**
 * Finds the event nearest to a time. Throws M_FORBIDDEN, and M_NOT_FOUND if there is none.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1timestamp_to_eventroomid
 */
export async function serveEventAtTime(
  app: Reading,
  { origin, roomId }: Asking,
  search: { ts: number; direction: 'forwards' | 'backwards' },
): Promise<{ event_id: EventId; origin_server_ts: number }> {
  await requireInRoom(app, roomId, origin)
  const event = await findEventNear(app, { roomId, ...search })
  if (!event) throw new NotFoundError(`There is no event in direction ${search.direction} from this time`)
  return { event_id: event.event_id, origin_server_ts: event.pdu.origin_server_ts }
}

/** Loads the events that are in the room's timeline. */
async function eventsOf(app: Reading, roomId: RoomId, ids: readonly EventId[]): Promise<StoredEvent[]> {
  const events = ids.length > 0 ? await loadEventsById(app.database, ids) : []
  return events.filter((event) => event.room_id === roomId && event.state_before !== null)
}

async function servedEvents(app: Reading, { origin, roomId }: Asking, events: readonly StoredEvent[]): Promise<Pdu[]> {
  const version = (await loadRoomVersions(app.database, [roomId])).get(roomId)
  if (!version) throw new NotFoundError('This server is not in that room')
  return pdusForServer(app, { origin, roomId, version }, events)
}
