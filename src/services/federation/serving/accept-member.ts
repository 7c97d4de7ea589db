import type { App } from '../../../app.ts'
import { ForbiddenError, InvalidParamError, MatrixError } from '../../../core/errors.ts'
import { signEvent } from '../../../core/events/sign-event.ts'
import { domainOf, type EventId, isUserId, type RoomId, type ServerName, type UserId } from '../../../core/ids.ts'
import type { Event, JsonObject, Pdu } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import type { LockedRoom, RoomHead } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'
import { requireAllowedJoin } from '../../rooms/access/allowed-contacts.ts'
import { appendRemoteEvent, MissingEventsError } from '../../rooms/timeline/append-remote-event.ts'
import { requireUnblocked } from '../../rooms/timeline/blocked-room.ts'
import { authoriserFor, requireOpenTo } from '../requests/member-template.ts'
import { verifySubmitted } from '../trust/verify-submitted.ts'
import { withApproval } from '../trust/with-approval.ts'

/** A member event that another server made from this server's template. */
export type MemberSubmission = {
  origin: ServerName
  roomId: RoomId
  /** As in the path of the request; undefined without one. */
  eventId: EventId
  membership: 'join' | 'leave' | 'knock'
  pdu: JsonObject
}

/**
 * Appends a remote user's member event to a room that this server is in. Returns it as stored, with this server's
 * signature if needed. A repeated event gets the same result. `onVerified` is called with it and the room before it is
 * stored. Throws M_BAD_JSON for forbidden numbers, M_INVALID_PARAM for any other event, M_NOT_FOUND, M_FORBIDDEN,
 * M_UNABLE_TO_AUTHORISE_JOIN and M_UNABLE_TO_GRANT_JOIN.
 * https://spec.matrix.org/v1.19/server-server-api/#put_matrixfederationv2send_joinroomideventid
 */
export async function acceptMember(
  app: App,
  submission: MemberSubmission,
  onVerified?: (event: Event, head: RoomHead) => void,
): Promise<StoredEvent> {
  const { origin, roomId, eventId, membership } = submission
  const head = await requireOpenTo(app, roomId, origin)
  if (membership !== 'leave') await requireUnblocked(app.database, roomId)
  const { version } = head
  requireMemberEvent(submission)
  if (membership !== 'leave') await requireAllowedJoin(app, { userId: submission.pdu.sender as UserId, roomId })
  if (membership === 'knock' && !version.knock)
    throw new ForbiddenError('Rooms of this version do not support knocking')
  const pdu = withOurSignature(app, version, submission.pdu as unknown as Pdu)
  const event = await verifySubmitted(app, version, { pdu, roomId, eventId })
  const [known] = await loadEventsById(app.database, [eventId])
  if (known && known.event_order !== null && !known.rejected && !known.soft_failed) return known
  onVerified?.(event, head)
  return withApproval(app, event, (signed, refusal) =>
    app.rooms.run(roomId, async (room) => {
      await requireAuthorised(app, room, submission)
      const { outcome, event: stored, reason } = await appendRemoteEvent(app, room, signed, refusal).catch(blameSender)
      // This server sends it to the other servers in the room.
      if (outcome === 'accepted') room.outgoing.push(stored.event_nid)
      if (outcome === 'accepted' || (outcome === 'known' && !stored.soft_failed)) return stored
      throw new ForbiddenError(`The room does not allow this: ${reason ?? 'it was rejected before'}`)
    }),
  )
}

/** A template references only events that are stored here. */
function blameSender(error: unknown): never {
  if (!(error instanceof MissingEventsError)) throw error
  throw new InvalidParamError('The event references events that are not in the room. Request a new template.')
}

function requireMemberEvent({ origin, membership, pdu }: MemberSubmission): void {
  const { type, sender, state_key: stateKey, content } = pdu
  if (type !== 'm.room.member') throw new InvalidParamError('The event is not an m.room.member')
  if ((content as JsonObject | undefined)?.membership !== membership) {
    throw new InvalidParamError(`The membership of the event is not ${membership}`)
  }
  if (typeof sender !== 'string' || !isUserId(sender) || domainOf(sender) !== origin) {
    throw new InvalidParamError('The sender is not a user of the server that sends the event')
  }
  if (stateKey !== sender) throw new InvalidParamError('The state_key is not the sender')
}

/**
 * A restricted join that names a local authoriser needs this server's signature. `requireAuthorised` checks it before
 * the event gets anywhere.
 */
function withOurSignature(app: App, version: RoomVersion, pdu: Pdu): Pdu {
  if (!version.restrictedJoins || authoriserServer(pdu.content) !== app.serverName) return pdu
  return signEvent(version, pdu, { serverName: app.serverName, ...app.signingKeys.current })
}

/** https://spec.matrix.org/v1.19/server-server-api/#restricted-rooms */
async function requireAuthorised(app: App, room: LockedRoom, { membership, pdu }: MemberSubmission): Promise<void> {
  if (membership !== 'join') return
  const authoriser = await authoriserFor(app, room, pdu.sender as StoredEvent['pdu']['sender'])
  if (authoriser === undefined || authoriserServer(pdu.content as JsonObject) !== undefined) return
  throw new MatrixError(
    400,
    'M_UNABLE_TO_GRANT_JOIN',
    'join_authorised_via_users_server names no local user with the power to invite',
  )
}

function authoriserServer({ join_authorised_via_users_server: authoriser }: JsonObject): ServerName | undefined {
  return typeof authoriser === 'string' ? domainOf(authoriser) : undefined
}
