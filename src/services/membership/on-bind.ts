import type { App } from '../../app.ts'
import { NotFoundError } from '../../core/errors.ts'
import { type RoomId, serverNameOf, type UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { FederationError } from '../../infra/federation/federation-error.ts'
import { isRoomHere } from '../../storage/rooms/membership/room-servers.ts'
import { findUser } from '../../storage/users/users.ts'
import { type BoundInvite, issueThirdPartyInvite } from './issue-third-party-invite.ts'

/** Time limit for all invites of one request, which anybody can send. */
const PATIENCE_MS = 60_000

/** An invite that an identity server stored until the address was bound. */
export type KeptInvite = { roomId: RoomId; sender: UserId; signed: JsonObject }

/**
 * Invites a local user to all rooms to which a newly bound address was invited. Failures are logged, since the identity
 * server cannot handle them. Throws M_NOT_FOUND for an unknown user.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv13pidonbind
 */
export async function onThirdPartyBound(app: App, target: UserId, invites: readonly KeptInvite[]): Promise<void> {
  if (!(await findUser(app.database, target))) throw new NotFoundError(`There is no user ${target}`)
  const signal = AbortSignal.timeout(PATIENCE_MS)
  for (const invite of invites) {
    try {
      signal.throwIfAborted()
      await exchange(app, { ...invite, target }, signal)
    } catch (error) {
      app.logger.warn(
        { err: error, room_id: invite.roomId, user_id: target },
        'invite of third-party identifier failed',
      )
    }
  }
}

/** A server that is not in the room has to ask the inviter's server. */
async function exchange(app: App, invite: BoundInvite, signal: AbortSignal): Promise<void> {
  const { roomId, sender, target, signed } = invite
  const isHere = await isRoomHere(app.database, roomId)
  if (isHere) return issueThirdPartyInvite(app, invite)
  const destination = serverNameOf(sender)
  if (destination === app.serverName) throw new FederationError('No local user is in the room any longer')
  await app.federation.request({
    destination,
    signal,
    method: 'PUT',
    path: `/_matrix/federation/v1/exchange_third_party_invite/${encodeURIComponent(roomId)}`,
    body: {
      type: 'm.room.member',
      room_id: roomId,
      sender,
      state_key: target,
      content: { membership: 'invite', third_party_invite: { display_name: '', signed } },
    },
  })
}
