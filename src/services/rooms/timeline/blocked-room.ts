import { ForbiddenError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { findRoomBlocker } from '../../../storage/rooms/room-blocks.ts'
import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { NewEvent } from './new-event.ts'

/** Throws M_FORBIDDEN for a room that administrators have blocked, whether this server knows it or not. */
export async function requireUnblocked(db: Db, roomId: RoomId): Promise<void> {
  if ((await findRoomBlocker(db, roomId)) !== undefined) throw blocked()
}

/**
 * Throws M_FORBIDDEN if an event lets somebody into a blocked room. Joined members may change their profiles. `member`:
 * the current membership of the event's state key.
 */
export function requireNoEntry(
  room: Pick<LockedRoom, 'isBlocked'>,
  { type, content: { membership } }: Pick<NewEvent, 'type' | 'content'>,
  member: StoredEvent | undefined,
): void {
  if (!room.isBlocked) return
  const isEntry = type === 'm.room.member' && ['join', 'invite', 'knock'].includes(membership as string)
  const isEntering = isEntry && member?.pdu.content.membership !== 'join'
  if (isEntering || type === 'm.room.third_party_invite') throw blocked()
}

function blocked(): ForbiddenError {
  return new ForbiddenError('This room has been blocked on this server')
}
