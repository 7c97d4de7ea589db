import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { findMembership } from '../../../storage/rooms/membership/room-memberships.ts'

/** Has a join checked for spam, unless the user is in the room. Throws as SpamChecks. */
export async function screenJoin(
  { spamChecks, database }: Pick<App, 'spamChecks' | 'database'>,
  roomId: RoomId,
  userId: UserId,
): Promise<void> {
  if (!spamChecks?.has('user_may_join_room')) return
  const before = (await findMembership(database, roomId, userId))?.membership
  if (before === 'join') return
  const check = { user: userId, room: roomId, is_invited: before === 'invite' }
  await spamChecks.check('user_may_join_room', () => check)
}
