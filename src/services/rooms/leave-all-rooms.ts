import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { loadUserMemberships } from '../../storage/room-memberships.ts'
import { inBatches } from './in-batches.ts'
import { leaveRoom } from './leave.ts'

/**
 * Makes a user leave every room, reject every invite and take back every knock, as deactivation does. A room that cannot be left is
 * logged and skipped. https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate
 */
export async function leaveAllRooms(app: App, userId: UserId): Promise<void> {
  const memberships = await loadUserMemberships(app.database, userId, ['join', 'invite', 'knock'])
  await inBatches(memberships, async ({ room_id: roomId }) => {
    try {
      await leaveRoom(app, { userId, roomId, content: {} })
    } catch (error) {
      app.logger.warn({ err: error, room_id: roomId, user_id: userId }, 'leaving a room failed')
    }
  })
}
