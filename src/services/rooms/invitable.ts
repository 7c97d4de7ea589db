import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { loadInvitePermissions } from '../../storage/invite-permissions.ts'

/**
 * Throws M_INVITE_BLOCKED unless all of some users accept invites by this inviter; of users of other servers, these decide.
 * https://spec.matrix.org/v1.19/client-server-api/#invite-permission
 */
export async function requireInvitable(
  app: Pick<App, 'database'>,
  inviter: UserId,
  userIds: readonly UserId[],
): Promise<void> {
  const permissions = await loadInvitePermissions(app.database, userIds)
  const blocker = userIds.find((userId) => permissions.get(userId)?.(inviter) === 'block')
  if (blocker !== undefined) throw new MatrixError(403, 'M_INVITE_BLOCKED', `${blocker} does not accept this invite`)
}
