import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import { domainOf, isRoomId, type RoomId, type ServerName, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Json, JsonObject } from '../../../core/pdu.ts'
import { creatorsOf, powerLevels, statedLevels } from '../../../core/rooms/power-levels.ts'
import { filterPartialRooms } from '../../../storage/rooms/membership/partial-rooms.ts'
import { findJoinedUser, isJoinedToAny } from '../../../storage/rooms/membership/room-memberships.ts'
import { filterRoomsHere } from '../../../storage/rooms/membership/room-servers.ts'
import { headOf, type LockedRoom, readLockedState } from '../../../storage/rooms/timeline/locked-room.ts'

/**
 * Returns the local user who authorises a join without an invite in a room with the join rule `restricted` or
 * `knock_restricted`; undefined for other join rules. Throws M_FORBIDDEN if the joining user is in none of the allowed
 * rooms, M_UNABLE_TO_AUTHORISE_JOIN if this server is not in all of these rooms and so cannot tell, and
 * M_UNABLE_TO_GRANT_JOIN if no local user may invite.
 * https://spec.matrix.org/v1.19/server-server-api/#restricted-rooms
 */
export async function authoriserOfJoin(
  room: LockedRoom,
  userId: UserId,
  serverName: ServerName,
): Promise<UserId | undefined> {
  const [joinRules] = await readLockedState(room, [{ type: 'm.room.join_rules', state_key: '' }])
  const content = joinRules?.pdu.content ?? {}
  if (!isRestricted(room, content.join_rule)) return undefined
  const allowed = allowedRooms(content)
  // A server knows all rooms of its own users, but rooms of remote users only while it participates in them.
  const isOurs = serverNameOf(userId) === serverName
  const known = isOurs ? allowed : await knownRooms(room, allowed)
  if (!(await isJoinedToAny(room.db, userId, known))) throw refusal(known.length === allowed.length)
  const authoriser = await findAuthoriser(room, serverName)
  if (authoriser !== undefined) return authoriser
  throw new MatrixError(400, 'M_UNABLE_TO_GRANT_JOIN', 'No local user in the room has the power to invite you')
}

/** Returns those of some rooms of which this server knows all members. */
async function knownRooms({ db }: LockedRoom, roomIds: readonly RoomId[]): Promise<RoomId[]> {
  const partial = await filterPartialRooms(db, roomIds)
  return (await filterRoomsHere(db, roomIds)).filter((roomId) => !partial.has(roomId))
}

function refusal(knowsAll: boolean): MatrixError {
  if (knowsAll) return new ForbiddenError('You are not in a room whose members may join this room')
  const message = 'This server is not in all of the rooms whose members may join this room'
  return new MatrixError(400, 'M_UNABLE_TO_AUTHORISE_JOIN', message)
}

function isRestricted(room: LockedRoom, joinRule: Json | undefined): boolean {
  const { version } = headOf(room)
  return (
    (version.restrictedJoins && joinRule === 'restricted') ||
    (version.knockRestricted && joinRule === 'knock_restricted')
  )
}

/**
 * Returns the rooms whose members may join, from the content of `m.room.join_rules`. Unknown and malformed conditions
 * never match.
 */
export function allowedRooms({ allow }: JsonObject): RoomId[] {
  if (!Array.isArray(allow)) return []
  const rooms = allow.flatMap((condition) => {
    const { type, room_id } = (condition ?? {}) as { type?: Json; room_id?: Json }
    return type === 'm.room_membership' && typeof room_id === 'string' && isRoomId(room_id) ? [room_id] : []
  })
  return [...new Set(rooms)]
}

/** Finds a joined local user with the power to invite. */
async function findAuthoriser(room: LockedRoom, serverName: ServerName): Promise<UserId | undefined> {
  const { version, room_id: roomId } = headOf(room)
  const [create, levelsEvent] = await readLockedState(room, [
    { type: 'm.room.create', state_key: '' },
    { type: 'm.room.power_levels', state_key: '' },
  ])
  const levels = powerLevels(version, create!, levelsEvent)
  const named = new Set([
    ...creatorsOf(version, create!),
    ...(levelsEvent ? statedLevels(version, levelsEvent).users.keys() : []),
  ] as UserId[])
  const mayInvite = [...named].filter((userId) => domainOf(userId) === serverName && levels.of(userId) >= levels.invite)
  const authoriser = await findJoinedUser(room.db, { roomId, among: mayInvite })
  if (authoriser !== undefined || levels.users_default < levels.invite) return authoriser
  return findJoinedUser(room.db, { roomId, server: serverName, except: [...named] })
}
