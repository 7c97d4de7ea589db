import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import type { ChildEvent } from '../../../core/rooms/space-children.ts'
import { filterRoomsHere, isRoomHere } from '../../../storage/rooms/membership/room-servers.ts'
import type { RoomSummary } from '../../rooms/directory/published-room.ts'
import { visibleRooms } from '../../rooms/directory/room-summary.ts'
import { childrenOf, strippedChild } from '../../rooms/directory/space-hierarchy.ts'

export type ServedSpace = {
  room: RoomSummary & { children_state: ChildEvent[] }
  children: RoomSummary[]
  inaccessible_children: RoomId[]
}

const MAX_CHILDREN = 1000

/**
 * Returns a space and its rooms, as far as this server knows them and users of the requesting server could join or read
 * them. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid
 */
export async function serveSpace(
  app: Pick<App, 'config' | 'database' | 'serverName'>,
  { roomId, origin, suggestedOnly }: { roomId: RoomId; origin: ServerName; suggestedOnly: boolean },
): Promise<ServedSpace> {
  const viewer = { server: origin }
  const isHere = await isRoomHere(app.database, roomId)
  const room = isHere ? (await visibleRooms(app, [roomId], viewer)).get(roomId) : undefined
  if (!room) throw new NotFoundError('The room does not exist, or your server is not allowed to see it')
  const children = (await childrenOf(app, room, suggestedOnly)).slice(0, MAX_CHILDREN)
  const here = await filterRoomsHere(
    app.database,
    children.map((child) => child.roomId),
  )
  const visible = await visibleRooms(app, here, viewer)
  return {
    room: { ...room.summary, children_state: children.map(({ event }) => strippedChild(event)) },
    children: children.flatMap((child) => visible.get(child.roomId)?.summary ?? []),
    inaccessible_children: here.filter((id) => !visible.has(id)),
  }
}
