import type { App } from '../../../app.ts'
import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { findPartialRoom } from '../../../storage/rooms/membership/partial-rooms.ts'
import { isServerInRoom } from '../../../storage/rooms/membership/room-servers.ts'
import { requireAllowedByAcl } from './check-server-acl.ts'

/**
 * Throws M_FORBIDDEN unless another server has members in a room of this server and its ACL allows it. Every response
 * about a room to other servers requires this. Unknown rooms give the same error.
 */
export async function requireInRoom(app: Pick<App, 'database'>, roomId: RoomId, origin: ServerName): Promise<void> {
  if (!(await isServerInRoom(app.database, roomId, origin))) throw new ForbiddenError('Your server is not in that room')
  await requireAllowedByAcl(app, roomId, origin)
}

/**
 * Throws M_UNABLE_DUE_TO_PARTIAL_STATE if the room has partial state: then neither its state nor who may see it is
 * certain.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3895
 */
export async function requireFullState(app: Pick<App, 'database'>, roomId: RoomId): Promise<void> {
  if (!(await findPartialRoom(app.database, roomId))) return
  throw new MatrixError(
    403,
    'M_UNABLE_DUE_TO_PARTIAL_STATE',
    'The state of the room is not completely known yet. Try again later.',
  )
}
