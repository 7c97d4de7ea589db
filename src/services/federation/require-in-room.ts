import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { RoomId, ServerName } from '../../core/ids.ts'
import { isServerInRoom } from '../../storage/room-servers.ts'
import { requireAllowedByAcl } from './check-server-acl.ts'

/**
 * Throws M_FORBIDDEN unless another server has members in a room of ours, and its ACL does not keep the server out: all that is told of a room
 * to other servers is told to these. Rooms that are not here are the same to strangers.
 */
export async function requireInRoom(app: Pick<App, 'database'>, roomId: RoomId, origin: ServerName): Promise<void> {
  if (!(await isServerInRoom(app.database, roomId, origin))) throw new ForbiddenError('Your server is not in that room')
  await requireAllowedByAcl(app, roomId, origin)
}
