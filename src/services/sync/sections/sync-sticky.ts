import type { App } from '../../../app.ts'
import { STICKY, stickyDuration } from '../../../core/events/sticky.ts'
import type { RoomId } from '../../../core/ids.ts'
import { firstWithin, lastWithin } from '../../../core/json/within-bytes.ts'
import { loadStickyPlaces, MOST_STICKY, type StickyPlace } from '../../../storage/rooms/sticky-events.ts'
import { loadEventSizes } from '../../../storage/rooms/timeline/event-sizes.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import { serveEvents } from '../../rooms/reading/serve-events.ts'
import { formatEvents, type SyncViewer } from './sync-room.ts'
import { isIgnored } from './sync-timeline.ts'

type Reading = Pick<App, 'config' | 'database' | 'clock' | 'reading'>

/** Most sticky events of known rooms in one response; the rest follows. */
export const STICKY_OF_ANSWER = 100

/** `upTo`: the position of the last event in the response, if there are more. */
export type StickyPage = { events: StoredEvent[]; upTo: number | undefined }

/**
 * Returns all sticky events of rooms that are new to the client, in the order of arrival, whatever history visibility
 * says. `to`: the response's stream position. https://github.com/matrix-org/matrix-spec-proposals/pull/4354
 */
export async function stickyOfRooms(
  app: Reading,
  viewer: SyncViewer,
  { roomIds, to }: { roomIds: readonly RoomId[]; to: number },
): Promise<StoredEvent[]> {
  const limit = MOST_STICKY * roomIds.length
  const places = await loadStickyPlaces(app.database, { roomIds, after: 0, to, now: app.clock.now(), limit })
  return eventsAt(app, viewer, await fitting(app, viewer, places))
}

/** This many events are loaded without checking their sizes. */
const FEW_EVENTS = 100

/** Returns of each room the newest that fit its part of the response. */
async function fitting(
  app: Reading,
  { budget }: SyncViewer,
  places: readonly StickyPlace[],
): Promise<readonly StickyPlace[]> {
  if (places.length <= FEW_EVENTS) return places
  const sizes = await loadEventSizes(
    app.database,
    places.map(({ event_nid }) => event_nid),
  )
  const sized = places.map((place) => ({ ...place, size: sizes.get(place.event_nid) ?? 0 }))
  const ofRooms = Map.groupBy(sized, ({ room_id }) => room_id)
  return [...ofRooms.values()].flatMap((ofRoom) => lastWithin(ofRoom, budget.timeline))
}

type NewSticky = {
  rows: readonly StreamRow[]
  rooms: ReadonlySet<RoomId>
  after: number
  from: number
  to: number
  limit: number
}

/**
 * Returns the sticky events that arrived in known rooms after position `after` and up to `to`, oldest first. `rows`:
 * the stream after `from`; only for what is older, the database is asked.
 */
export async function newSticky(
  app: Reading,
  viewer: SyncViewer,
  { rows, rooms, ...span }: NewSticky,
): Promise<StickyPage> {
  const { after, from, limit } = span
  const now = app.clock.now()
  const places =
    after < from
      ? await loadStickyPlaces(app.database, { ...span, roomIds: [...rooms], now, limit: limit + 1 })
      : placesIn(rows, rooms, now).filter(({ position }) => position > after)
  const page = places.slice(0, limit)
  const events = await eventsAt(app, viewer, page)
  const first = firstWithin(events, app.config.limits.answers.page)
  if (first.length < events.length) {
    const { event_nid: last } = first.at(-1)!
    return { events: first, upTo: page.find(({ event_nid }) => event_nid === last)!.position }
  }
  return { events, upTo: page.length < places.length ? page.at(-1)!.position : undefined }
}

/** Returns the sticky events of sync v3: new ones of known rooms, and all of newly joined ones. */
export async function stickyChanges(
  app: Reading,
  viewer: SyncViewer,
  {
    known,
    newlyJoined,
    ...span
  }: Omit<NewSticky, 'rooms' | 'limit'> & { known: ReadonlySet<RoomId>; newlyJoined: ReadonlySet<RoomId> },
): Promise<StickyPage> {
  const [page, ofNew] = await Promise.all([
    newSticky(app, viewer, { ...span, rooms: known, limit: STICKY_OF_ANSWER }),
    stickyOfRooms(app, viewer, { roomIds: [...newlyJoined], to: span.to }),
  ])
  return { ...page, events: [...ofNew, ...page.events] }
}

function placesIn(rows: readonly StreamRow[], rooms: ReadonlySet<RoomId>, now: number): StickyPlace[] {
  return rows.flatMap(({ kind, room_id, ref, detail, stream_position }) =>
    kind === 'sticky' && room_id !== null && ref !== null && rooms.has(room_id) && Number(detail) > now
      ? [{ event_nid: ref, room_id, position: stream_position }]
      : [],
  )
}

/** Leaves out events that were redacted since, and those of ignored users. */
async function eventsAt(app: Reading, viewer: SyncViewer, places: readonly StickyPlace[]): Promise<StoredEvent[]> {
  const nids = places.map(({ event_nid }) => event_nid)
  const events = await loadEvents(app.database, nids)
  return nids.flatMap((nid) => {
    const event = events.get(nid)
    const isThere = event && event.event_order !== null && !event.soft_failed && stickyDuration(event.pdu) !== undefined
    return isThere && !isIgnored(event, viewer) ? event : []
  })
}

/** Converts sticky events for sync v3. `isSent`: whether the response's timeline has an event. */
export async function serveSticky(
  app: Reading,
  viewer: SyncViewer,
  { events, isSent }: { events: readonly StoredEvent[]; isSent(event: StoredEvent): boolean },
): Promise<Map<RoomId, object[]>> {
  const left = events.filter((event) => !isSent(event))
  const { userId, deviceId } = viewer
  const served = await serveEvents(app, { events: left, userId, deviceId })
  const byId = new Map(served.map((event) => [event.event_id, event]))
  // Sticky events of erased users are ordinary events.
  const sticky = left.filter(({ event_id }) => byId.get(event_id)?.[STICKY] !== undefined)
  const ofRooms = Map.groupBy(sticky, ({ room_id }) => room_id)
  return new Map([...ofRooms].map(([roomId, ofRoom]) => [roomId, formatEvents(viewer, ofRoom, byId)]))
}
