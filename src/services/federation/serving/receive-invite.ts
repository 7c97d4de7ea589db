import type { App } from '../../../app.ts'
import { ForbiddenError, InvalidParamError, MatrixError } from '../../../core/errors.ts'
import { clientEvent } from '../../../core/events/client-event.ts'
import { signEvent } from '../../../core/events/sign-event.ts'
import { domainOf, type EventId, isUserId, type RoomId, type ServerName, type UserId } from '../../../core/ids.ts'
import type { JsonObject, Pdu } from '../../../core/pdu.ts'
import { ROOM_VERSIONS } from '../../../core/room-versions.ts'
import { isRoomHere } from '../../../storage/rooms/membership/room-servers.ts'
import { findUser } from '../../../storage/users/users.ts'
import { requireInvitable } from '../../rooms/access/invitable.ts'
import { requireUnblocked } from '../../rooms/timeline/blocked-room.ts'
import { storeOutOfBandMember } from '../requests/store-out-of-band-member.ts'
import { requireStrippedState } from '../trust/received-identity.ts'
import { verifySubmitted } from '../trust/verify-submitted.ts'

/** An invite to a local user that another server wants signed. */
export type ReceivedInvite = {
  origin: ServerName
  roomId: RoomId
  eventId: EventId
  roomVersion: string
  pdu: JsonObject
  /** The stripped state; unvalidated. */
  roomState: readonly unknown[]
}

/**
 * Stores an invite for its local user, and returns it with this server's signature. Throws M_INCOMPATIBLE_ROOM_VERSION,
 * M_BAD_JSON for forbidden numbers, M_INVALID_PARAM for an invalid invite, M_FORBIDDEN and M_INVITE_BLOCKED.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2inviteroomideventid
 */
export async function receiveInvite(app: App, invite: ReceivedInvite): Promise<Pdu> {
  const version = ROOM_VERSIONS.get(invite.roomVersion)
  if (!version) {
    const message = `This server does not support the room version ${invite.roomVersion}`
    throw new MatrixError(400, 'M_INCOMPATIBLE_ROOM_VERSION', message, { room_version: invite.roomVersion })
  }
  const target = requireInvite(app, invite)
  await requireUnblocked(app.database, invite.roomId)
  const event = await verifySubmitted(app, version, invite)
  const roomState = await requireStrippedState(app, { version, roomId: invite.roomId, events: invite.roomState })
  await requireWelcome(app, { target, inviter: event.pdu.sender, roomId: invite.roomId })
  await app.spamChecks?.check('federated_user_may_invite', () => ({ event: clientEvent(event, version) }))
  const signed = signEvent(version, event.pdu, { serverName: app.serverName, ...app.signingKeys.current })
  // If this server is in the room, the invite arrives as an event of the room.
  const isHere = await isRoomHere(app.database, invite.roomId)
  if (!isHere) {
    await storeOutOfBandMember(
      app,
      { ...event, pdu: signed },
      {
        version,
        strippedState: roomState,
        contact: invite.origin,
      },
    )
  }
  return signed
}

function requireInvite(app: Pick<App, 'serverName'>, { origin, pdu }: ReceivedInvite): UserId {
  const { type, sender, state_key: target, content } = pdu
  if (type !== 'm.room.member' || (content as JsonObject | undefined)?.membership !== 'invite') {
    throw new InvalidParamError('The event is not an invite')
  }
  if (typeof sender !== 'string' || domainOf(sender) !== origin) {
    throw new InvalidParamError('The sender is not a user of the server that sends the invite')
  }
  if (typeof target !== 'string' || !isUserId(target) || domainOf(target) !== app.serverName) {
    throw new InvalidParamError('The invite is not for a user of this server')
  }
  return target
}

/** The error does not reveal whether the user exists. */
async function requireWelcome(
  app: App,
  { target, ...invite }: { target: UserId; inviter: UserId; roomId: RoomId },
): Promise<void> {
  const user = await findUser(app.database, target)
  if (!user || user.deactivated_ts !== null) throw new ForbiddenError(`${target} cannot be invited`)
  await requireInvitable(app, { ...invite, userIds: [target] })
}
