import type { App } from '../../../app.ts'
import { ForbiddenError, NotFoundError } from '../../../core/errors.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { findRoom, setInDirectory } from '../../../storage/rooms/room-summary.ts'
import { mayCurate } from '../access/room-curators.ts'

export type DirectoryVisibility = 'public' | 'private'

/**
 * Returns whether the directory lists a room. Throws M_NOT_FOUND.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3directorylistroomroomid
 */
export async function directoryVisibility(app: Pick<App, 'database'>, roomId: RoomId): Promise<DirectoryVisibility> {
  const room = await findRoom(app.database, roomId)
  if (!room) throw new NotFoundError('Unknown room')
  return room.in_directory ? 'public' : 'private'
}

/**
 * Lists a room in the directory or hides it. Allowed for users who may set its canonical alias, and administrators.
 * Throws M_NOT_FOUND and M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#put_matrixclientv3directorylistroomroomid
 */
export async function setDirectoryVisibility(
  app: App,
  {
    roomId,
    visibility,
    ...user
  }: { roomId: RoomId; visibility: DirectoryVisibility; userId: UserId; isAdmin: boolean },
): Promise<void> {
  const check = { user_id: user.userId, room_id: roomId }
  if (visibility === 'public') await app.spamChecks?.check('user_may_publish_room', () => check)
  await app.rooms.run(roomId, async (room) => {
    if (!room.head) throw new NotFoundError('Unknown room')
    if (!user.isAdmin && !(await mayCurate(room, user.userId))) {
      throw new ForbiddenError('Only moderators of the room and administrators may do this')
    }
    room.writes.push((tx) => setInDirectory(tx, roomId, visibility === 'public'))
  })
}
