import type { App } from '../../../app.ts'
import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import { type RoomId, serverNameOf, type UserId } from '../../../core/ids.ts'
import { countPendingInvites } from '../../../storage/rooms/room-lists.ts'
import { loadInvitePermissions } from '../../../storage/users/invite-permissions.ts'
import { requireAllowedInvite } from './allowed-contacts.ts'

/**
 * Throws M_INVITE_BLOCKED unless all of some users accept invites by this inviter, and M_FORBIDDEN for users with too
 * many pending invites and as `requireAllowedInvite`. For remote users, their server decides. `roomId` is absent for a
 * new room.
 * https://spec.matrix.org/v1.19/client-server-api/#invite-permission
 */
export async function requireInvitable(
  app: Pick<App, 'config' | 'database' | 'serverName' | 'policyLists'>,
  { inviter, roomId, userIds }: { inviter: UserId; roomId?: RoomId; userIds: readonly UserId[] },
): Promise<void> {
  await requireAllowedInvite(app, { inviter, invitees: userIds, roomId })
  const permissions = await loadInvitePermissions(app.database, userIds)
  const blocker = userIds.find((userId) => permissions.get(userId)?.(inviter) === 'block')
  if (blocker !== undefined) throw new MatrixError(403, 'M_INVITE_BLOCKED', `${blocker} does not accept this invite`)
  await requireRoomForOneMore(app, inviter, userIds)
}

/** Has the invite by a local user checked for spam. Throws as SpamChecks. */
export async function screenInvite(
  { spamChecks }: Pick<App, 'spamChecks'>,
  { roomId, ...invite }: { roomId: RoomId; inviter: UserId; invitee: UserId },
): Promise<void> {
  await spamChecks?.check('user_may_invite', () => ({ ...invite, room_id: roomId }))
}

/** No single server may use up a user's limit. */
async function requireRoomForOneMore(
  { config, database, serverName }: Pick<App, 'config' | 'database' | 'serverName'>,
  inviter: UserId,
  userIds: readonly UserId[],
): Promise<void> {
  const { pending_invites: most, pending_invites_by_server: mostByServer } = config.limits.counts
  const server = serverNameOf(inviter)
  const limit = server === serverName ? most : Math.min(most, mostByServer)
  const pending = await countPendingInvites(database, userIds, server)
  const full = pending.find(({ all, byServer }) => all >= most || byServer >= limit)
  if (full) throw new ForbiddenError(`${full.user_id} has too many invites that are not answered`)
}
