import type { App } from '../../../app.ts'
import type { RoomId } from '../../../core/ids.ts'
import { lifetimeOf } from '../../../core/rooms/retention.ts'
import { countExpired, loadAbandonedRooms } from '../../../storage/rooms/retention.ts'
import { expiringRooms } from './clean-rooms.ts'

const MAX_ROOMS = 1000
const MAX_PER_ROOM = 100_000
const PATIENCE_MS = 10_000

export type ExpiredMessages = {
  enabled: boolean
  messages: number
  /** The rooms with expired messages. */
  rooms: { room_id: RoomId; lifetime: number; messages: number }[]
  abandoned_rooms: RoomId[]
  /** Whether there are more rooms, or a room has more messages, than were counted. */
  is_limited: boolean
}

/**
 * Counts the messages that have expired, and finds the rooms that all local users have left, as the next run would
 * delete them; also if expiry is disabled. `defaultLifetime`: tries another `retention.default_lifetime`.
 */
export async function countExpiredMessages(app: App, defaultLifetime?: number): Promise<ExpiredMessages> {
  const { retention } = app.config
  const rules = { ...retention, default_lifetime: defaultLifetime ?? retention.default_lifetime }
  const now = app.clock.now()
  const abandoned_rooms = await abandonedRooms(app)
  const is_limited = abandoned_rooms.length === MAX_ROOMS
  const counted: ExpiredMessages = { enabled: retention.enabled, messages: 0, rooms: [], abandoned_rooms, is_limited }
  for await (const room of expiringRooms(app, rules.default_lifetime ?? rules.max_lifetime)) {
    const lifetime = lifetimeOf(room, rules)
    if (lifetime === undefined) continue
    const range = { roomId: room.room_id, before: now - lifetime, most: MAX_PER_ROOM }
    const messages = await countExpired(app.database, range)
    if (messages > 0) counted.rooms.push({ room_id: room.room_id, lifetime, messages })
    counted.messages += messages
    counted.is_limited ||= messages === MAX_PER_ROOM || counted.rooms.length === MAX_ROOMS
    if (counted.rooms.length === MAX_ROOMS || app.clock.now() - now > PATIENCE_MS)
      return { ...counted, is_limited: true }
  }
  return counted
}

async function abandonedRooms({ config, database, clock }: App): Promise<RoomId[]> {
  const { abandoned_rooms: abandoned } = config.retention
  if (abandoned === undefined) return []
  return loadAbandonedRooms(database, { after: '', before: clock.now() - abandoned, limit: MAX_ROOMS })
}
