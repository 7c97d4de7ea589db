import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import { serverNameOf, type UserId } from '../../core/ids.ts'
import { loadInvitePermissions } from '../../storage/invite-permissions.ts'

/**
 * Throws unless all of some users can be invited: M_INVITE_BLOCKED for those who want none by this inviter, and M_UNKNOWN for users of other servers.
 * https://spec.matrix.org/v1.19/client-server-api/#invite-permission
 */
export async function requireInvitable(
  app: Pick<App, 'database' | 'serverName'>,
  inviter: UserId,
  userIds: readonly UserId[],
): Promise<void> {
  const remote = userIds.find((userId) => serverNameOf(userId) !== app.serverName)
  if (remote !== undefined) {
    throw new MatrixError(400, 'M_UNKNOWN', `${remote} cannot be invited: this server does not federate yet`)
  }
  const permissions = await loadInvitePermissions(app.database, userIds)
  const blocker = userIds.find((userId) => permissions.get(userId)?.(inviter) === 'block')
  if (blocker !== undefined) throw new MatrixError(403, 'M_INVITE_BLOCKED', `${blocker} does not accept this invite`)
}
