import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { isAllowedByAcl } from '../../../core/rooms/server-acl.ts'
import type { RoomHead } from '../../../storage/rooms/timeline/locked-room.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { readStateEvent } from '../../../storage/rooms/timeline/room-state.ts'

/**
 * Throws M_FORBIDDEN when the current ACL of a room keeps a server out. Rooms that this server does not have keep
 * nobody out.
 * https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
 */
export async function requireAllowedByAcl(
  app: Pick<App, 'database'>,
  roomId: RoomId,
  origin: ServerName,
): Promise<void> {
  if (!(await isServerAllowed(app, roomId, origin))) throw keptOut(roomId, origin)
}

/** The error for a server that the ACL of a room keeps out. */
export function keptOut(roomId: RoomId, origin: ServerName): ForbiddenError {
  return new ForbiddenError(`The room ${roomId} does not let the server ${origin} take part`)
}

/** Whether the current ACL of a room lets a server take part. */
export async function isServerAllowed(
  app: Pick<App, 'database'>,
  roomId: RoomId,
  origin: ServerName,
): Promise<boolean> {
  const head = await findRoomHead(app.database, roomId)
  return head ? isServerAllowedBy(app, head, origin) : true
}

/** Whether the ACL in a room's state lets a server take part. */
export async function isServerAllowedBy(
  app: Pick<App, 'database'>,
  head: RoomHead,
  origin: ServerName,
): Promise<boolean> {
  const acl = await readStateEvent(app.database, head.state_root, 'm.room.server_acl')
  return isAllowedByAcl(acl?.pdu.content, origin)
}
