import type { App } from '../../app.ts'
import type { UserId } from '../../core/ids.ts'
import { loadInvitePermission } from '../../storage/invite-permissions.ts'
import type { SyncViewer } from './sync-room.ts'

/**
 * Whose invites a user is not told of, those from before included: of ignored users, and by the user's settings. The user's own knocks and
 * refusals always are. https://spec.matrix.org/v1.19/client-server-api/#invite-permission
 */
export async function unwantedInviters(
  app: Pick<App, 'database'>,
  { userId, ignored }: Pick<SyncViewer, 'userId' | 'ignored'>,
): Promise<(sender: UserId) => boolean> {
  const permission = await loadInvitePermission(app.database, userId)
  return (sender) => sender !== userId && (ignored.has(sender) || permission(sender) !== 'allow')
}
