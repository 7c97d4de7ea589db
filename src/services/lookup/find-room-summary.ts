import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { isRoomAlias, type RoomAlias, type RoomId, type ServerName, type UserId } from '../../core/ids.ts'
import type { Membership } from '../../core/rooms/membership.ts'
import { findMembership } from '../../storage/rooms/membership/room-memberships.ts'
import { isRoomHere } from '../../storage/rooms/membership/room-servers.ts'
import type { ResolvingApp } from '../rooms/directory/aliases.ts'
import type { RoomSummary } from '../rooms/directory/published-room.ts'
import { readRoomSummary } from '../rooms/directory/room-summary.ts'
import { findRoomAlias } from './find-alias.ts'
import { askForSpace, mayKnow } from './find-space.ts'

/**
 * Returns the summary of a room for a user, or for anonymous clients when undefined. Rooms that this server is not in
 * are requested from the servers in `via` and those of the alias. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias
 */
export async function findRoomSummary(
  app: ResolvingApp & Pick<App, 'federation'>,
  { room, via, userId }: { room: RoomId | RoomAlias; via: readonly ServerName[]; userId: UserId | undefined },
): Promise<RoomSummary & { membership?: Membership }> {
  const target = isRoomAlias(room) ? await findRoomAlias(app, room) : { room_id: room, servers: [] }
  const roomId = target.room_id
  if (await isRoomHere(app.database, roomId)) {
    return readRoomSummary(app, roomId, userId)
  }
  const found = await askForSpace(app, roomId, [...via, ...target.servers])
  if (!found || !(await mayKnow(app, found.summary, userId))) {
    throw new NotFoundError('The room does not exist, or you are not allowed to see it')
  }
  if (userId === undefined) return found.summary
  const membership = await findMembership(app.database, roomId, userId)
  return { ...found.summary, membership: membership?.membership ?? 'leave' }
}
