import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { historyVisibilityOf } from '../../../core/rooms/visibility.ts'
import { findRoomReader } from '../../../storage/rooms/membership/room-readers.ts'
import { readStateEvent } from '../../../storage/rooms/timeline/room-state.ts'
import { joinSpanOf } from './join-spans.ts'

/** The role in which a user reads a room, and the newest readable point. */
export type RoomAccess = {
  roomId: RoomId
  /**
   * departed: was joined before; invited: the history is visible to invited users; peeking: was never in the room,
   * which is world-readable; administrator: every event is readable, see administrator-access.ts.
   */
  as: 'joined' | 'departed' | 'invited' | 'peeking' | 'administrator'
  /** State group of the newest state that the user may read: the room's, or the one when they left. */
  stateRoot: number
  /**
   * event_order of the newest event that the user may read, unless checking the single event forbids it: see
   * visible-events.ts.
   */
  lastOrder: number
}

/**
 * Returns a user's access to a room's history; `visibleEvents` filters the single events. Throws M_FORBIDDEN for users
 * without access, and also for unknown rooms, which hides whether they exist.
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
    // Former members can read later events only where history is world-readable. State is shown as of their leave.
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

/** As `accessRoom`, for reading state. Invited users have no access: they have the stripped state of their invite. */
export async function accessState(app: Pick<App, 'database'>, roomId: RoomId, userId: UserId): Promise<RoomAccess> {
  const access = await accessRoom(app, roomId, userId)
  if (access.as === 'invited') throw notInRoom(roomId)
  return access
}

function notInRoom(roomId: RoomId): ForbiddenError {
  return new ForbiddenError(`You are not in the room ${roomId}, and its content is not public`)
}
