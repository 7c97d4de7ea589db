import type { App } from '../../../app.ts'
import type { RoomAlias, RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { resolveRoom } from '../directory/resolve-room.ts'
import { changeMembership } from './change-membership.ts'

export type LocalJoin = {
  userId: UserId
  isGuest: boolean
  room: RoomId | RoomAlias
  /** Further keys of the member event, such as `reason`. */
  content: JsonObject
}

/**
 * Joins a room on this server, and returns its ID. Does nothing for a joined user. Throws M_NOT_FOUND, M_FORBIDDEN,
 * M_GUEST_ACCESS_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#joining-rooms
 */
export async function joinLocally(app: App, { userId, isGuest, room, content }: LocalJoin): Promise<RoomId> {
  const roomId = await resolveRoom(app, room)
  await changeMembership(app, roomId, {
    sender: userId,
    senderIsGuest: isGuest,
    target: userId,
    membership: 'join',
    content,
    idempotent: true,
  })
  return roomId
}
