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
import { authoriserOfJoin } from '../../rooms/access/restricted-join.ts'
import { membershipIn, readMember } from '../../rooms/access/room-member.ts'
import { draftEvent } from '../../rooms/timeline/draft-event.ts'
import { isServerAllowedBy, keptOut } from '../trust/check-server-acl.ts'

/** What another server asks for to make a member event of one of its users. */
export type TemplateRequest = {
  origin: ServerName
  roomId: RoomId
  userId: UserId
  membership: 'join' | 'leave' | 'knock'
  /**
   * The room versions that the other server speaks; undefined: it can only be that of the room, as the user is in touch
   * with it already.
   */
  versions?: readonly string[]
}

/**
 * An event for another server to complete and sign, and the version of its room. Throws M_NOT_FOUND unless this server
 * is in the room, M_FORBIDDEN, M_INCOMPATIBLE_ROOM_VERSION, M_UNABLE_TO_AUTHORISE_JOIN and M_UNABLE_TO_GRANT_JOIN.
 * https://spec.matrix.org/v1.19/server-server-api/#joining-rooms
 */
export async function makeMemberTemplate(
  app: App,
  request: TemplateRequest,
): Promise<{ room_version: string; event: JsonObject }> {
  const { origin, roomId, userId } = request
  if (serverNameOf(userId) !== origin) throw new ForbiddenError('A server may only ask on behalf of its own users')
  const head = await requireOpenTo(app, roomId, origin)
  requireSpoken(head.version, request)
  // Nothing comes of it here, so nobody need wait for it.
  const event = await templateIn(app, roomToRead(app.database, head), request)
  return { room_version: head.version.id, event }
}

/** Throws M_NOT_FOUND unless a user of this server has joined the room. */
export async function requireResident(app: Pick<App, 'database'>, roomId: RoomId): Promise<void> {
  if (!(await isRoomHere(app.database, roomId))) throw new NotFoundError('This server is not in that room')
}

/**
 * The room that a server's user wants to be in. Throws M_NOT_FOUND unless a user of this server has joined it, and
 * where this server does not know all of its members, and so cannot let anybody in; M_FORBIDDEN where its ACL keeps the
 * server out.
 */
export async function requireOpenTo(app: Pick<App, 'database'>, roomId: RoomId, origin: ServerName): Promise<RoomHead> {
  const [head] = await Promise.all([findRoomHead(app.database, roomId), requireResident(app, roomId)])
  if (!head || head.is_partial) throw new NotFoundError('This server does not know all of that room yet')
  if (!(await isServerAllowedBy(app, head, origin))) throw keptOut(roomId, origin)
  return head
}

function requireSpoken(version: RoomVersion, { versions, membership }: TemplateRequest): void {
  if (versions && !versions.includes(version.id)) {
    throw new MatrixError(400, 'M_INCOMPATIBLE_ROOM_VERSION', `The room has version ${version.id}`, {
      room_version: version.id,
    })
  }
  if (membership === 'knock' && !version.knock) throw new ForbiddenError('Rooms of this version have no knocks')
}

async function templateIn(app: App, room: LockedRoom, { userId, membership }: TemplateRequest): Promise<JsonObject> {
  const authoriser = membership === 'join' ? await authoriserFor(app, room, userId) : undefined
  const { version, draft, known } = await draftEvent(app, room, {
    type: 'm.room.member',
    state_key: userId,
    sender: userId,
    content: { membership, ...(authoriser !== undefined && { join_authorised_via_users_server: authoriser }) },
  })
  // Signed only to be an event that the rules can be asked about: what is the user's server's to sign does not leave
  // here.
  const event = buildEvent(version, draft, { serverName: app.serverName, ...app.signingKey })
  const verdict = checkEventAuth(version, event, known)
  if (!verdict.allowed) throw new ForbiddenError(verdict.reason)
  const { hashes: _hashes, signatures: _signatures, event_id: _eventId, ...template } = event.pdu
  return { ...template, origin: app.serverName } as JsonObject
}

/**
 * The user of this server in whose name a user may join, where the join needs one. Throws as `authoriserOfJoin` does.
 */
export async function authoriserFor(
  app: Pick<App, 'serverName'>,
  room: LockedRoom,
  userId: UserId,
): Promise<UserId | undefined> {
  const before = membershipIn(await readMember(room, userId))
  // The banned are for the authorisation rules to refuse.
  if (before === 'join' || before === 'invite' || before === 'ban') return undefined
  return authoriserOfJoin(room, userId, app.serverName)
}
