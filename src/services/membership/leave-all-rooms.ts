import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { findUser } from '../../storage/users/users.ts'
import { inEveryRoom } from '../rooms/timeline/in-every-room.ts'
import { leaveRoom } from './leave-room.ts'

/**
 * Makes a user leave every room, reject every invite and rescind every knock, for deactivation. Rejects if it has to be
 * retried. An account that is active again stays where it is. https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
 */
export function leaveAllRooms(app: App, userId: UserId): Promise<void> {
  return inEveryRoom(
    app,
    { userId, memberships: ['join', 'invite', 'knock'], what: 'leaving all rooms' },
    async (roomId) => {
      if ((await findUser(app.database, userId))?.deactivated_ts === null) return
      await leaveRoom(app, { userId, roomId, content: {} })
    },
  )
}
