import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { isAllowedByAcl } from '../../../core/rooms/server-acl.ts'
import type { RoomHead } from '../../../storage/rooms/timeline/locked-room.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { readStateEvent } from '../../../storage/rooms/timeline/room-state.ts'

/**
 * Throws M_FORBIDDEN if a room's current ACL denies a server. Unknown rooms deny none.
 * https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
 */
export async function requireAllowedByAcl(
  app: Pick<App, 'database'>,
  roomId: RoomId,
  origin: ServerName,
): Promise<void> {
  if (!(await isServerAllowed(app, roomId, origin))) throw keptOut(roomId, origin)
}

/** Returns the error for a server that a room's ACL denies. */
export function keptOut(roomId: RoomId, origin: ServerName): ForbiddenError {
  return new ForbiddenError(`The server ACL of ${roomId} denies ${origin}`)
}

/** Returns whether a room's current ACL allows a server. */
export async function isServerAllowed(
  app: Pick<App, 'database'>,
  roomId: RoomId,
  origin: ServerName,
): Promise<boolean> {
  const head = await findRoomHead(app.database, roomId)
  return head ? isServerAllowedBy(app, head, origin) : true
}

/** Returns whether the ACL in a state allows a server. */
export async function isServerAllowedBy(
  app: Pick<App, 'database'>,
  head: RoomHead,
  origin: ServerName,
): Promise<boolean> {
  const acl = await readStateEvent(app.database, head.state_root, 'm.room.server_acl')
  return isAllowedByAcl(acl?.pdu.content, origin)
}
