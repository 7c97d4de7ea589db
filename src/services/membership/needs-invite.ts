import type { App } from '../../app.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import { findMembership } from '../../storage/rooms/membership/room-memberships.ts'
import { findRoom } from '../../storage/rooms/room-summary.ts'

/** Whether a user has to be invited to enter a room: it is not public, and the user is neither in it nor invited. */
export async function needsInvite(
  { database }: Pick<App, 'database'>,
  roomId: RoomId,
  userId: UserId,
): Promise<boolean> {
  const [room, member] = await Promise.all([findRoom(database, roomId), findMembership(database, roomId, userId)])
  const isIn = member?.membership === 'join' || member?.membership === 'invite'
  return room?.join_rule !== 'public' && !isIn
}
