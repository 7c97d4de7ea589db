import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { historyVisibilityOf } from '../../../core/rooms/visibility.ts'
import { findRoomReader } from '../../../storage/rooms/membership/room-readers.ts'
import { readStateEvent } from '../../../storage/rooms/timeline/room-state.ts'
import { joinSpanOf } from './join-spans.ts'

/** As what a user reads a room, and how far. */
export type RoomAccess = {
  roomId: RoomId
  /**
   * departed: was joined and is no more; invited: and the history is open to those; peeking: never was in the room,
   * which the world may read.
   */
  as: 'joined' | 'departed' | 'invited' | 'peeking'
  /** Root of the newest state that the user may read: the room's, or that of when they left. */
  stateRoot: number
  /**
   * event_order of the newest event that the user may read, as far as this is known without asking for each: see
   * visible-events.ts.
   */
  lastOrder: number
}

/**
 * Lets a user read a room's history. Which events of it is for `visibleEvents` to say. Throws M_FORBIDDEN for those
 * without any business there, and likewise where the room does not exist, so that nobody learns which do.
 * https://spec.matrix.org/v1.19/client-server-api/#room-history-visibility
 */
export async function accessRoom(app: Pick<App, 'database'>, roomId: RoomId, userId: UserId): Promise<RoomAccess> {
  const reader = await findRoomReader(app.database, roomId, userId)
  if (!reader) throw notInRoom(roomId)
  const { stateRoot, lastOrder } = reader
  const membership = reader.membership?.membership
  if (membership === 'join') return { roomId, as: 'joined', stateRoot, lastOrder }

  const visibility = historyVisibilityOf(
    (await readStateEvent(app.database, stateRoot, 'm.room.history_visibility'))?.pdu.content,
  )
  const span = reader.membership && (await joinSpanOf(app, reader.membership))
  if (span?.end) {
    // Who has left may read on where everyone may; the state stays what it was.
    const isOpen = visibility === 'world_readable' || (membership === 'invite' && visibility === 'invited')
    return {
      roomId,
      as: 'departed',
      stateRoot: span.end.state_after ?? stateRoot,
      lastOrder: isOpen ? lastOrder : (span.end.event_order ?? lastOrder),
    }
  }
  if (visibility === 'world_readable') return { roomId, as: 'peeking', stateRoot, lastOrder }
  if (membership === 'invite' && visibility === 'invited') return { roomId, as: 'invited', stateRoot, lastOrder }
  throw notInRoom(roomId)
}

/** As `accessRoom`, for reading state, which invited users may not: they have the stripped state of their invite. */
export async function accessState(app: Pick<App, 'database'>, roomId: RoomId, userId: UserId): Promise<RoomAccess> {
  const access = await accessRoom(app, roomId, userId)
  if (access.as === 'invited') throw notInRoom(roomId)
  return access
}

function notInRoom(roomId: RoomId): ForbiddenError {
  return new ForbiddenError(`You are not in the room ${roomId}, and it is not open to others`)
}
