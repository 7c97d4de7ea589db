import type { App } from '../../app.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import { loadLastOrders, storeNotifications } from '../../storage/push/notifications.ts'
import { loadTimelinePage } from '../../storage/rooms/timeline/timeline-pages.ts'
import type { StoredEvent } from '../../storage/schema/stored-event.ts'
import { lockUser } from '../../storage/users/users.ts'
import { judgeRoomEvents } from './judge-room-events.ts'
import { loadUnreadRooms, MOST_BYTES, MOST_EVENTS } from './load-unread-rooms.ts'
import { countByThread, NOTHING_UNSTORED, type UnreadCount, type UnreadRoom, withEvents } from './unread-room.ts'
import { unreadKey } from './unread-rooms-cache.ts'

type Capabilities = Pick<App, 'config' | 'database' | 'stream' | 'push'>

/** Maximum number of events per room and user that are evaluated again after a restart: then the result is stored. */
const UNSTORED_EVENTS = 50
const NEWEST = { direction: 'backwards', limit: MOST_EVENTS, bytes: MOST_BYTES } as const

/** The event_order up to which a room's events count, and its newest loaded events, oldest first. */
export type NewestEvents = { last: number; events: readonly StoredEvent[] }

/**
 * Returns a user's unread notifications in some joined rooms by thread, `main` being the main timeline; threads without
 * any are left out. The user's rules are evaluated when counts are read, about once per event: the results are cached,
 * and stored when there are many. Sending evaluates nothing, so that its cost does not grow with the room.
 */
export async function unreadCounts(
  app: Capabilities,
  userId: UserId,
  rooms: ReadonlyMap<RoomId, NewestEvents>,
): Promise<Map<RoomId, Map<string, UnreadCount>>> {
  const current = await currentRooms(app, userId, rooms)
  await storeRooms(app, userId, { rooms: current, least: UNSTORED_EVENTS })
  return new Map([...current].map(([roomId, room]) => [roomId, countByThread(room)]))
}

/**
 * Updates a user's counts of all joined rooms to their newest events, and stores the results for readers of the table.
 */
export async function storeUnread(app: Capabilities, userId: UserId): Promise<void> {
  const current = await currentRooms(app, userId, await allRooms(app, userId))
  await storeRooms(app, userId, { rooms: current, least: 1 })
}

/** Returns the number of unread notifications in all of a user's joined rooms. */
export async function unreadTotal(app: Capabilities, userId: UserId): Promise<number> {
  let total = 0
  for (const threads of (await unreadCounts(app, userId, await allRooms(app, userId))).values())
    for (const { notification_count } of threads.values()) total += notification_count
  return total
}

async function allRooms(app: Capabilities, userId: UserId): Promise<Map<RoomId, NewestEvents>> {
  // Cached unread events are as old as this process's view of the stream.
  await app.stream.refresh()
  const rooms = await loadLastOrders(app.database, userId)
  return new Map(rooms.map(({ room_id, last_order }) => [room_id, { last: last_order, events: [] }]))
}

async function currentRooms(
  app: Capabilities,
  userId: UserId,
  rooms: ReadonlyMap<RoomId, NewestEvents>,
): Promise<Map<RoomId, UnreadRoom>> {
  const cache = app.push.unreadRooms
  const readAt = app.stream.position()
  const current = new Map<RoomId, UnreadRoom>()
  for (const [roomId, newest] of rooms) {
    const kept = cache.get(unreadKey(userId, roomId))
    if (kept) current.set(roomId, await broughtUpToDate(app, userId, { roomId, kept, newest }))
  }
  const absent = [...rooms.keys()].filter((roomId) => !current.has(roomId))
  if (absent.length === 0) return current
  for (const [roomId, room] of await loadUnreadRooms(app, userId, absent)) {
    cache.set(unreadKey(userId, roomId), room, readAt)
    current.set(roomId, room)
  }
  return current
}

async function broughtUpToDate(
  app: Capabilities,
  userId: UserId,
  { roomId, kept, newest }: { roomId: RoomId; kept: UnreadRoom; newest: NewestEvents },
): Promise<UnreadRoom> {
  const { last, events } = newest
  if (last <= kept.upTo) return kept
  const known = events.filter((event) => event.event_order! > kept.upTo)
  const range = { roomId, after: kept.upTo, before: last + 1 }
  const isKnown = known.length === last - kept.upTo
  const fresh = isKnown ? known : (await loadTimelinePage(app.database, { ...range, ...NEWEST })).reverse()
  // The push rules must be at least as recent as the events.
  if (!isKnown) await app.stream.refresh()
  const room = withEvents(kept, userId, { events: await judgeRoomEvents(app, userId, fresh), last })
  app.push.unreadRooms.replace(unreadKey(userId, roomId), kept, room)
  return room
}

/** Stores the results of rooms where at least `least` events were evaluated since the last time. */
async function storeRooms(
  app: Capabilities,
  userId: UserId,
  { rooms, least }: { rooms: ReadonlyMap<RoomId, UnreadRoom>; least: number },
): Promise<void> {
  const due = [...rooms].filter(([, room]) => room.unstored.judged >= least)
  if (due.length === 0) return
  await app.database.write(async (tx) => {
    // Two requests of one user would store the same rooms, and wait for each other.
    await lockUser(tx, userId)
    for (const [roomId, { upTo, unstored }] of due) {
      const { notifying, ownReads } = unstored
      await storeNotifications(tx, { userId, roomId, countedOrder: upTo, notifying, ownReads })
    }
  })
  for (const [roomId, room] of due)
    app.push.unreadRooms.replace(unreadKey(userId, roomId), room, { ...room, unstored: NOTHING_UNSTORED })
}
