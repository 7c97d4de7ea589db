import type { App } from '../../app.ts'
import type { RoomAlias, RoomId, ServerName, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { loadProfile } from '../../storage/users/profiles.ts'
import { knockRemotely } from '../federation/joining/knock-remotely.ts'
import { locateRoom } from '../lookup/locate-room.ts'
import { requireAllowedJoin } from '../rooms/access/allowed-contacts.ts'
import { memberContent } from '../rooms/access/member-content.ts'
import { knockLocally } from '../rooms/membership/knock-locally.ts'

export type KnockRequest = {
  userId: UserId
  room: RoomId | RoomAlias
  /** Servers that, according to the client, are in the room. */
  via: readonly ServerName[]
  content: JsonObject
}

/**
 * Knocks on a room, locally or remotely, and returns its ID. Throws M_NOT_FOUND, M_FORBIDDEN, other servers' refusals,
 * and 502 if none can be reached. https://spec.matrix.org/v1.19/server-server-api/#knocking-rooms
 */
export async function knockOnRoom(app: App, request: KnockRequest): Promise<RoomId> {
  const { roomId, isHere, servers } = await locateRoom(app, request)
  const { userId, content } = request
  await requireAllowedJoin(app, { userId, roomId })
  if (isHere) return knockLocally(app, { userId, room: roomId, content })
  const whole = memberContent('knock', content, await loadProfile(app.database, userId))
  await knockRemotely(app, servers, { roomId, userId, content: whole })
  return roomId
}
