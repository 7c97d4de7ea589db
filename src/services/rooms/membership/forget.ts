import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { isPresent } from '../../../core/rooms/membership.ts'
import { findMembership, hideRoom } from '../../../storage/rooms/membership/room-memberships.ts'

/**
 * Hides a room that the user has left, until their membership changes again. Throws M_UNKNOWN for a user who has not
 * left.
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3roomsroomidforget
 */
export async function forgetRoom(app: Pick<App, 'database'>, roomId: RoomId, userId: UserId): Promise<void> {
  const membership = (await findMembership(app.database, roomId, userId))?.membership ?? 'leave'
  if (isPresent(membership)) {
    throw new MatrixError(400, 'M_UNKNOWN', 'Leave the room before you forget it')
  }
  await app.database.write((tx) => hideRoom(tx, roomId, userId))
}
