import type { App } from '../../../app.ts'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { findJoinedUser } from '../../../storage/rooms/membership/room-memberships.ts'
import { isServerAllowed } from './check-server-acl.ts'

/**
 * Returns the reason why a server may not send into a room; undefined if it may.
 * https://spec.matrix.org/v1.19/server-server-api/#server-access-control-lists-acls
 */
export async function refusalOfServer(
  app: Pick<App, 'database' | 'serverName'>,
  roomId: RoomId,
  origin: ServerName,
): Promise<string | undefined> {
  if (!(await isServerAllowed(app, roomId, origin))) return 'The server ACL of the room denies your server'
  const user = await findJoinedUser(app.database, { roomId, server: app.serverName, except: [] })
  return user === undefined ? 'This server is not in that room' : undefined
}
