import type { App } from '../../app.ts'
import { InvalidParamError } from '../../core/errors.ts'
import type { RoomAlias, RoomId, ServerName, UserId } from '../../core/ids.ts'
import { locateRoom } from '../lookup/locate-room.ts'
import { findLocalUser } from '../users/account-moderation.ts'
import { inviteUser } from './invite-user.ts'
import { joinRoom } from './join-room.ts'
import { needsInvite } from './needs-invite.ts'

export type JoinForUser = { room: RoomId | RoomAlias; userId: UserId; by: UserId; via: readonly ServerName[] }

/**
 * Lets a local user join a room, at the request of an administrator, who invites the user first if the room is not
 * public. Returns the room's ID. Throws as `findLocalUser`, `inviteUser` and `joinRoom`, and M_INVALID_PARAM for a
 * deactivated user.
 */
export async function joinAsAdministrator(app: App, { room, userId, by, via }: JoinForUser): Promise<RoomId> {
  const user = await findLocalUser(app, userId)
  if (user.deactivated_ts !== null) throw new InvalidParamError('This account is deactivated')
  const { roomId, isHere } = await locateRoom(app, { room, via, userId })
  if (isHere && (await needsInvite(app, roomId, userId)))
    await inviteUser(app, { roomId, sender: by, target: userId, content: {} })
  return joinRoom(app, { userId, isGuest: false, room: roomId, via, content: {} })
}
