import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { changeMembership } from './change-membership.ts'

/**
 * Leaves a room, rejects an invite, or rescinds a knock. Does nothing for a user who has left already. Throws
 * M_FORBIDDEN.
 * https://spec.matrix.org/v1.19/client-server-api/#leaving-rooms
 */
export async function leaveLocally(
  app: App,
  { userId, roomId, content }: { userId: UserId; roomId: RoomId; content: JsonObject },
): Promise<void> {
  await changeMembership(app, roomId, {
    sender: userId,
    target: userId,
    membership: 'leave',
    content,
    idempotent: true,
  })
}
