import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { findUser } from '../../../storage/users/users.ts'

/** Returns the user that sends server notices; undefined if none is configured. */
export function noticesUser({ config, serverName }: Pick<App, 'config' | 'serverName'>): UserId | undefined {
  const { localpart } = config.server_notices
  return localpart === undefined ? undefined : (`@${localpart}:${serverName}` as UserId)
}

/**
 * Throws M_CANNOT_LEAVE_SERVER_NOTICE_ROOM if the invite is from the notices user, unless the invited user is
 * deactivated.
 * https://spec.matrix.org/v1.19/client-server-api/#server-notices
 */
export async function requireRejectable(
  app: Pick<App, 'config' | 'serverName'>,
  room: LockedRoom,
  invite: StoredEvent,
): Promise<void> {
  if (invite.pdu.sender !== noticesUser(app)) return
  const user = await findUser(room.db, invite.pdu.state_key as UserId)
  if (user && user.deactivated_ts === null)
    throw new MatrixError(403, 'M_CANNOT_LEAVE_SERVER_NOTICE_ROOM', 'You cannot reject this invite')
}
