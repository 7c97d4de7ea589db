import { NotFoundError } from '../../../core/errors.ts'
import { isRoomAlias, type RoomAlias, type RoomId } from '../../../core/ids.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { type ResolvingApp, resolveRoomAlias } from './aliases.ts'

/** Resolves a room ID or an alias to the ID of a room on this server. Throws M_NOT_FOUND. */
export async function resolveRoom(app: ResolvingApp, roomIdOrAlias: RoomId | RoomAlias): Promise<RoomId> {
  const roomId = isRoomAlias(roomIdOrAlias) ? (await resolveRoomAlias(app, roomIdOrAlias)).room_id : roomIdOrAlias
  if (await findRoomHead(app.database, roomId)) return roomId
  throw new NotFoundError('This server is not in that room')
}
