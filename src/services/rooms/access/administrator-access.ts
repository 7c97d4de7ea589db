import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { accessRoom, type RoomAccess } from './room-access.ts'

/** A reader of a room. */
export type RoomReading = {
  roomId: RoomId
  userId: UserId
  /** Set by the endpoints for administrators only: the user may read all that this server has of the room. */
  asAdministrator?: boolean
}

/** As `accessRoom`, or for administrators any room that this server has. Throws M_NOT_FOUND for unknown ones then. */
export async function accessAs(
  app: Pick<App, 'database'>,
  { roomId, userId, asAdministrator = false }: RoomReading,
): Promise<RoomAccess> {
  if (!asAdministrator) return accessRoom(app, roomId, userId)
  const head = await findRoomHead(app.database, roomId)
  if (!head) throw new NotFoundError('Room not found')
  return { roomId, as: 'administrator', stateRoot: head.state_root, lastOrder: head.next_order - 1 }
}
