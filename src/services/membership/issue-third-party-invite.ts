import type { App } from '../../app.ts'
import { ForbiddenError, InvalidParamError } from '../../core/errors.ts'
import { type RoomId, serverNameOf, type UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { readLockedState } from '../../storage/rooms/timeline/locked-room.ts'
import { requireInvitable } from '../rooms/access/invitable.ts'
import { appendEvent } from '../rooms/timeline/append-event.ts'
import { runInRoom } from '../rooms/timeline/run-in-room.ts'
import { inviteByDraft } from './invite-user.ts'

/** An address that was invited has been bound to a user, as an identity server signed it. */
export type BoundInvite = {
  roomId: RoomId
  /** Who invited the address. */
  sender: UserId
  target: UserId
  /** With `mxid`, `token` and `signatures`. */
  signed: JsonObject
}

/**
 * Turns the invite of an address into that of the user who has bound it, in a room that this server is in. Throws
 * M_FORBIDDEN when the room's
 * `m.room.third_party_invite` does not vouch for it, and what the user's server refuses for.
 * https://spec.matrix.org/v1.19/server-server-api/#third-party-invites
 */
export async function issueThirdPartyInvite(app: App, { roomId, sender, target, signed }: BoundInvite): Promise<void> {
  if (signed.mxid !== target) throw new InvalidParamError('The signed user is another one than who is invited')
  const displayName = await nameOfAddress(app, roomId, signed)
  const content: JsonObject = { membership: 'invite', third_party_invite: { display_name: displayName, signed } }
  if (serverNameOf(target) !== app.serverName) {
    await inviteByDraft(app, { roomId, sender, target, content })
    return
  }
  await requireInvitable(app, sender, [target])
  await runInRoom(app, roomId, (room) =>
    appendEvent(app, room, { type: 'm.room.member', state_key: target, sender, content }),
  )
}

function nameOfAddress(app: App, roomId: RoomId, { token }: JsonObject): Promise<string> {
  if (typeof token !== 'string') throw new InvalidParamError('signed: has no token')
  return runInRoom(app, roomId, async (room) => {
    const [invite] = await readLockedState(room, [{ type: 'm.room.third_party_invite', state_key: token }])
    if (!invite) throw new ForbiddenError('The room knows of no such invite')
    const name = invite.pdu.content.display_name
    return typeof name === 'string' ? name : ''
  })
}
