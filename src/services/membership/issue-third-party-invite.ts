import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError } from '../../core/errors.ts'
import { type RoomId, serverNameOf, type UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { readLockedState } from '../../storage/rooms/timeline/locked-room.ts'
import { requireAllowedInvite } from '../rooms/access/allowed-contacts.ts'
import { requireInvitable } from '../rooms/access/invitable.ts'
import { appendEvent } from '../rooms/timeline/append-event.ts'
import { runInRoom } from '../rooms/timeline/run-in-room.ts'
import { inviteByDraft } from './invite-user.ts'

/** The binding of an invited address to a user, signed by an identity server. */
export type BoundInvite = {
  roomId: RoomId
  /** The user who invited the address. */
  sender: UserId
  target: UserId
  /** With `mxid`, `token` and `signatures`. */
  signed: JsonObject
}

/**
 * Converts a third-party invite into an invite of the user to whom the address was bound, in a room that this server is
 * in. Throws M_FORBIDDEN if the room's `m.room.third_party_invite` does not authorise it, and the user's server's
 * refusal.
 * https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
 */
export async function issueThirdPartyInvite(app: App, { roomId, sender, target, signed }: BoundInvite): Promise<void> {
  if (signed.mxid !== target) throw new InvalidParamError('The signed user is not the invited user')
  const displayName = await nameOfAddress(app, roomId, signed)
  const content: JsonObject = { membership: 'invite', third_party_invite: { display_name: displayName, signed } }
  if (serverNameOf(target) !== app.serverName) {
    await requireAllowedInvite(app, { inviter: sender, invitees: [target], roomId })
    await inviteByDraft(app, { roomId, sender, target, content })
    return
  }
  await requireInvitable(app, { inviter: sender, roomId, userIds: [target] })
  await runInRoom(app, roomId, (room) =>
    appendEvent(app, room, { type: 'm.room.member', state_key: target, sender, content }),
  )
}

function nameOfAddress(app: App, roomId: RoomId, { token }: JsonObject): Promise<string> {
  if (typeof token !== 'string') throw new InvalidParamError('signed: has no token')
  return runInRoom(app, roomId, async (room) => {
    const [invite] = await readLockedState(room, [{ type: 'm.room.third_party_invite', state_key: token }])
    if (!invite) throw new ForbiddenError('The room does not have this invite')
    const name = invite.pdu.content.display_name
    return typeof name === 'string' ? name : ''
  })
}
