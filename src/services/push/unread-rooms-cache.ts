import type { RoomId, UserId } from '../../core/ids.ts'
import { createStreamCache, type StreamCache } from '../../infra/stream-cache.ts'
import type { StreamTail } from '../../infra/stream-tail.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'
import type { UnreadRoom } from './unread-room.ts'

/** The unread events of users, by `unreadKey`, until a row of the stream changes them. */
export type UnreadRooms = StreamCache<UnreadRoom>

/** Number of unread events, and of rooms of users, cached per process; some 200 bytes each. */
const KEPT = 250_000

export function createUnreadRooms(stream: StreamTail): UnreadRooms {
  return createStreamCache<UnreadRoom>(stream, {
    max: KEPT,
    sizeOf: ({ unread, unstored }) => 1 + unread.length + unstored.notifying.length,
    changedBy,
    dependsOn: (key) => [key, key.slice(key.indexOf('\0'))],
  })
}

/** Returns the key of a room of a user. */
export function unreadKey(userId: UserId, roomId: RoomId): string {
  return `${userId}\0${roomId}`
}

/** A receipt changes its user's unread events in the room, a redaction everyone's. */
function changedBy(row: StreamRow): string | undefined {
  if (row.kind === 'receipt')
    return row.room_id === null ? `${row.user_id}\0${row.detail}` : `${row.detail}\0${row.room_id}`
  const isOfEvent = row.kind === 'event' || row.kind === 'history'
  return isOfEvent && row.detail?.startsWith('redacts ') ? `\0${row.room_id}` : undefined
}
