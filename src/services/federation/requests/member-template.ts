import type { App } from '../../../app.ts'
import { checkEventAuth } from '../../../core/auth-rules/check-event-auth.ts'
import { ForbiddenError, MatrixError, NotFoundError } from '../../../core/errors.ts'
import { buildEvent } from '../../../core/events/build-event.ts'
import { type RoomId, type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'
import { isRoomHere } from '../../../storage/rooms/membership/room-servers.ts'
import { type LockedRoom, type RoomHead, roomToRead } from '../../../storage/rooms/timeline/locked-room.ts'
import { findRoomHead } from '../../../storage/rooms/timeline/room-heads.ts'
import { requireAllowedJoin } from '../../rooms/access/allowed-contacts.ts'
import { authoriserOfJoin } from '../../rooms/access/restricted-join.ts'
import { membershipIn, readMember } from '../../rooms/access/room-member.ts'
import { requireUnblocked } from '../../rooms/timeline/blocked-room.ts'
import { draftEvent } from '../../rooms/timeline/draft-event.ts'
import { isServerAllowedBy, keptOut } from '../trust/check-server-acl.ts'

/** Another server's request for the template of its user's member event. */
export type TemplateRequest = {
  origin: ServerName
  roomId: RoomId
  userId: UserId
  membership: 'join' | 'leave' | 'knock'
  /**
   * The room versions that the other server supports. Undefined for requests without them: the user has a membership in
   * the room already.
   */
  versions?: readonly string[]
}

/**
 * Returns an event for another server to complete and sign, and the room's version. Throws M_NOT_FOUND unless this
 * server is in the room, M_FORBIDDEN, M_INCOMPATIBLE_ROOM_VERSION, M_UNABLE_TO_AUTHORISE_JOIN and
 * M_UNABLE_TO_GRANT_JOIN.
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 */
export async function makeMemberTemplate(
  app: App,
  request: TemplateRequest,
): Promise<{ room_version: string; event: JsonObject }> {
  const { origin, roomId, userId, membership } = request
  if (serverNameOf(userId) !== origin) throw new ForbiddenError('A server may only send requests for its own users')
  const head = await requireOpenTo(app, roomId, origin)
  requireSpoken(head.version, request)
  if (membership !== 'leave') await requireUnblocked(app.database, roomId)
  if (membership !== 'leave') await requireAllowedJoin(app, { userId, roomId })
  if (membership === 'join') await app.spamChecks?.check('accept_make_join', () => ({ user: userId, room: roomId }))
  // Nothing is stored, so the room needs no lock.
  const event = await templateIn(app, roomToRead(app.database, head), request)
  return { room_version: head.version.id, event }
}

/** Throws M_NOT_FOUND unless a local user has joined the room. */
export async function requireResident(app: Pick<App, 'database'>, roomId: RoomId): Promise<void> {
  if (!(await isRoomHere(app.database, roomId))) throw new NotFoundError('This server is not in that room')
}

/**
 * Returns the head of a room that another server's user wants to enter. Throws M_NOT_FOUND unless a local user has
 * joined it and its state is full, without which no join can be authorised; M_FORBIDDEN if the ACL denies the server.
 */
export async function requireOpenTo(app: Pick<App, 'database'>, roomId: RoomId, origin: ServerName): Promise<RoomHead> {
  const [head] = await Promise.all([findRoomHead(app.database, roomId), requireResident(app, roomId)])
  if (!head || head.is_partial)
    throw new NotFoundError('The state of the room is not completely known yet. Try again later.')
  if (!(await isServerAllowedBy(app, head, origin))) throw keptOut(roomId, origin)
  return head
}

function requireSpoken(version: RoomVersion, { versions, membership }: TemplateRequest): void {
  if (versions && !versions.includes(version.id)) {
    throw new MatrixError(400, 'M_INCOMPATIBLE_ROOM_VERSION', `The room has version ${version.id}`, {
      room_version: version.id,
    })
  }
  if (membership === 'knock' && !version.knock)
    throw new ForbiddenError('Rooms of this version do not support knocking')
}

async function templateIn(app: App, room: LockedRoom, { userId, membership }: TemplateRequest): Promise<JsonObject> {
  const authoriser = membership === 'join' ? await authoriserFor(app, room, userId) : undefined
  const { version, draft, known } = await draftEvent(app, room, {
    type: 'm.room.member',
    state_key: userId,
    sender: userId,
    content: { membership, ...(authoriser !== undefined && { join_authorised_via_users_server: authoriser }) },
  })
  // Signed only to check it against the rules: the signature of the user's server is not this server's to make, and
  // never leaves here.
  const event = buildEvent(version, draft, { serverName: app.serverName, ...app.signingKeys.current })
  const verdict = checkEventAuth(version, event, known)
  if (!verdict.allowed) throw new ForbiddenError(verdict.reason)
  const { hashes: _hashes, signatures: _signatures, event_id: _eventId, ...template } = event.pdu
  return { ...template, origin: app.serverName } as JsonObject
}

/** Returns the local user who authorises the join, if it needs one. Throws as `authoriserOfJoin`. */
export async function authoriserFor(
  app: Pick<App, 'serverName'>,
  room: LockedRoom,
  userId: UserId,
): Promise<UserId | undefined> {
  const before = membershipIn(await readMember(room, userId))
  // The authorization rules reject banned users.
  if (before === 'join' || before === 'invite' || before === 'ban') return undefined
  return authoriserOfJoin(room, userId, app.serverName)
}
