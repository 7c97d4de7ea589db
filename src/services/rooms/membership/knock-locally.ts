import type { App } from '../../../app.ts'
import type { RoomAlias, RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { resolveRoom } from '../directory/resolve-room.ts'
import { changeMembership } from './change-membership.ts'

/**
 * Knocks on a room on this server, and returns its ID. Throws M_NOT_FOUND and M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#knocking-on-rooms
 */
export async function knockLocally(
  app: App,
  { userId, room, content }: { userId: UserId; room: RoomId | RoomAlias; content: JsonObject },
): Promise<RoomId> {
  const roomId = await resolveRoom(app, room)
  await changeMembership(app, roomId, { sender: userId, target: userId, membership: 'knock', content })
  return roomId
}
