import { ForbiddenError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { holdOffRemoval, isBeingRemoved } from '../../../storage/rooms/removal/room-removals.ts'
import { findRoomBlocker } from '../../../storage/rooms/room-blocks.ts'
import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import type { NewEvent } from './new-event.ts'

/**
 * Throws M_FORBIDDEN for a room that administrators have blocked, whether this server knows it or not, and for one that
 * they have deleted, until all of it is gone.
 */
export async function requireUnblocked(db: Db, roomId: RoomId): Promise<void> {
  if ((await findRoomBlocker(db, roomId)) !== undefined) throw blocked()
  if (await isBeingRemoved(db, roomId)) throw beingRemoved()
}

/**
 * Throws M_FORBIDDEN for a room whose deletion has not ended. Called in a transaction that enters a room which this
 * server is not in; the deletion cannot begin before that ends.
 */
export async function requireNotRemoved(db: Db, roomId: RoomId): Promise<void> {
  await holdOffRemoval(db, roomId)
  if (await isBeingRemoved(db, roomId)) throw beingRemoved()
}

function beingRemoved(): ForbiddenError {
  return new ForbiddenError('This room is being deleted from this server. Try again later.')
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
