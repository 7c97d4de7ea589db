import type { App } from '../../app.ts'
import { type RoomId, serverNameOf, type UserId } from '../../core/ids.ts'
import { createRoom as createOwnRoom, type RoomRequest } from '../rooms/create-room.ts'
import { inviteForeigner } from './invite-user.ts'

/** Servers that are asked at once: as many invites follow the same event. */
const AT_ONCE = 10

/**
 * Creates a room and invites whom the request names. The servers of users of others are asked when the room is there: those that refuse, or cannot
 * be reached, are left out. Throws as `createRoom` of rooms does. https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3createroom
 */
export async function createRoom(app: App, creator: UserId, request: RoomRequest): Promise<RoomId> {
  const roomId = await createOwnRoom(app, creator, request)
  const foreigners = [...new Set(request.invite)].filter((userId) => serverNameOf(userId) !== app.serverName)
  const content = request.isDirect ? { is_direct: true } : {}
  const invite = async (target: UserId) => {
    try {
      await inviteForeigner(app, { roomId, sender: creator, target, content })
    } catch (error) {
      app.logger.warn({ err: error, room_id: roomId, user_id: target }, 'inviting a user to a new room failed')
    }
  }
  for (let start = 0; start < foreigners.length; start += AT_ONCE) {
    await Promise.all(foreigners.slice(start, start + AT_ONCE).map(invite))
  }
  return roomId
}
