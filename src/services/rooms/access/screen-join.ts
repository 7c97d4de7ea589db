import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { findMembership } from '../../../storage/rooms/membership/room-memberships.ts'
import { requireAllowedJoin } from './allowed-contacts.ts'

/**
 * Throws M_FORBIDDEN if the configuration or a policy list denies a join, and has it checked for spam unless the user
 * is in the room. Throws as SpamChecks.
 */
export async function screenJoin(
  app: Pick<App, 'spamChecks' | 'database' | 'config' | 'serverName' | 'policyLists'>,
  roomId: RoomId,
  userId: UserId,
): Promise<void> {
  await requireAllowedJoin(app, { userId, roomId })
  const { spamChecks, database } = app
  if (!spamChecks?.has('user_may_join_room')) return
  const before = (await findMembership(database, roomId, userId))?.membership
  if (before === 'join') return
  const check = { user: userId, room: roomId, is_invited: before === 'invite' }
  await spamChecks.check('user_may_join_room', () => check)
}
