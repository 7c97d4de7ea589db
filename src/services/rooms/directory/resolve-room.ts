import { NotFoundError } from '../../../core/errors.ts'
import { isRoomAlias, type RoomAlias, type RoomId } from '../../../core/ids.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { type ResolvingApp, resolveRoomAlias } from './aliases.ts'

/**
 * The id of the room that a room id or an alias means, which this server has. Throws M_NOT_FOUND.
 */
export async function resolveRoom(app: ResolvingApp, roomIdOrAlias: RoomId | RoomAlias): Promise<RoomId> {
  const roomId = isRoomAlias(roomIdOrAlias) ? (await resolveRoomAlias(app, roomIdOrAlias)).room_id : roomIdOrAlias
  if (await findRoomHead(app.database, roomId)) return roomId
  throw new NotFoundError('This server is not in that room')
}
