import type { App } from '../../app.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db } from '../../storage/engine/database.ts'
import {
  type EventPlace,
  loadCountedOrders,
  loadEventsAfter,
  loadUnreadNotifications,
} from '../../storage/push/notifications.ts'
import { findMemberships } from '../../storage/rooms/membership/room-memberships.ts'
import { loadOwnReceipts } from '../../storage/rooms/receipts.ts'
import { loadEvents } from '../../storage/rooms/timeline/events.ts'
import { readEventsOfStates } from '../../storage/rooms/timeline/room-state.ts'
import type { ReceiptRow } from '../../storage/schema/ephemeral.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { judgeRoomEvents } from './judge-room-events.ts'
import { NOTHING_UNSTORED, type UnreadEvent, type UnreadRoom, withEvents } from './unread-room.ts'

type Reading = Pick<App, 'config' | 'database' | 'stream' | 'push'>

/** Maximum number of events per room that are evaluated; of more, the newest. */
export const MOST_EVENTS = 1000
/** Maximum bytes, for all rooms together. */
export const MOST_BYTES = 16 * 1024 * 1024
const EVENTS_AT_ONCE = 5000

/**
 * Computes a user's unread events in some joined rooms, up to their newest events: stored ones, and newer ones
 * evaluated by the push rules. Needs a few queries for any number of rooms.
 */
export async function loadUnreadRooms(
  app: Reading,
  userId: UserId,
  roomIds: readonly RoomId[],
): Promise<Map<RoomId, UnreadRoom>> {
  const reads = readOrders(await loadOwnReceipts(app.database, userId, roomIds))
  const starts = await startingPlaces(app.database, userId, roomIds)
  const noted = await loadUnreadNotifications(app.database, userId, roomIds)
  const places = await loadEventsAfter(app.database, starts, MOST_EVENTS)
  const notedOf = Map.groupBy(noted, ({ room_id }) => room_id)
  const rooms = new Map<RoomId, UnreadRoom>(
    roomIds.map((roomId) => [
      roomId,
      { upTo: starts.get(roomId) ?? 0, unread: notedOf.get(roomId) ?? [], unstored: NOTHING_UNSTORED },
    ]),
  )
  // The push rules must be at least as recent as the events.
  await app.stream.refresh()
  for (const some of chunksOf(places)) {
    const events = await loadEvents(app.database, some)
    const judged = await judgeRoomEvents(
      app,
      userId,
      some.flatMap((nid) => events.get(nid) ?? []),
    )
    for (const [roomId, ofRoom] of Map.groupBy(judged, ({ event }) => event.room_id)) {
      const last = ofRoom.at(-1)!.event.event_order!
      rooms.set(roomId, withEvents(rooms.get(roomId)!, userId, { events: ofRoom, last }))
    }
  }
  return withoutRead(rooms, reads)
}

/** Yields the nids of events in chunks that are evaluated together. */
function* chunksOf(places: readonly EventPlace[]): Generator<number[]> {
  let chunk: number[] = []
  let bytes = 0
  for (const { event_nid, size } of places) {
    if (chunk.length === EVENTS_AT_ONCE || (chunk.length > 0 && bytes + size > MOST_BYTES)) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(event_nid)
    bytes += size
  }
  if (chunk.length > 0) yield chunk
}

/** Returns the orders from which events have to be evaluated: where the last evaluation ended, or the user joined. */
async function startingPlaces(db: Db, userId: UserId, roomIds: readonly RoomId[]): Promise<Map<RoomId, number>> {
  const counted = await loadCountedOrders(db, userId, roomIds)
  const uncounted = roomIds.filter((roomId) => !counted.has(roomId))
  const joins = await joinOrders(db, userId, uncounted)
  return new Map(roomIds.map((roomId) => [roomId, counted.get(roomId) ?? joins.get(roomId) ?? 0]))
}

async function joinOrders(db: Db, userId: UserId, roomIds: readonly RoomId[]): Promise<Map<RoomId, number>> {
  if (roomIds.length === 0) return new Map()
  const memberships = await findMemberships(db, userId, roomIds)
  const loaded = await loadEvents(
    db,
    memberships.map((membership) => membership.event_nid),
  )
  const members = [...loaded.values()]
  const before = await readEventsOfStates(
    db,
    members.map((member) => ({ root: member.state_before ?? 0, type: 'm.room.member', state_key: userId })),
  )
  // A later profile change hides the order of the join; the join is then found during the evaluation.
  const entered = members.filter((_, place) => before[place]?.pdu.content.membership !== 'join')
  return new Map(entered.map((member: StoredEvent) => [member.room_id, member.event_order ?? 0]))
}

/** Returns the event_order up to which a user has read a thread of a room by receipts; thread '': the whole room. */
type ReadOrders = (roomId: RoomId, thread: string) => number

function readOrders(receipts: readonly ReceiptRow[]): ReadOrders {
  const orders = new Map<string, number>()
  for (const { room_id, thread_id, event_order } of receipts) {
    const key = `${room_id}\0${thread_id}`
    orders.set(key, Math.max(event_order, orders.get(key) ?? 0))
  }
  return (roomId, thread) => orders.get(`${roomId}\0${thread}`) ?? 0
}

/** Drops events that a receipt covers. */
function withoutRead(rooms: ReadonlyMap<RoomId, UnreadRoom>, reads: ReadOrders): Map<RoomId, UnreadRoom> {
  return new Map(
    [...rooms].map(([roomId, room]) => {
      const isUnread = ({ thread_id, event_order }: UnreadEvent) =>
        event_order > Math.max(reads(roomId, ''), reads(roomId, thread_id))
      return [roomId, { ...room, unread: room.unread.filter(isUnread) }]
    }),
  )
}
