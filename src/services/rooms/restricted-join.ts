import { ForbiddenError } from '../../core/errors.ts'
import type { Json, JsonObject } from '../../core/events/pdu.ts'
import { domainOf, isRoomId, type RoomId, type ServerName, type UserId } from '../../core/ids.ts'
import { creatorsOf, powerLevels, statedLevels } from '../../core/power-levels.ts'
import { headOf, type LockedRoom, readLockedState } from '../../storage/locked-room.ts'
import { findJoinedUser, isJoinedToAny } from '../../storage/room-memberships.ts'

/**
 * The user of this server in whose name somebody without an invite may join a room with the join rule `restricted` or `knock_restricted`;
 * undefined for rooms with other join rules. Throws M_FORBIDDEN when the user is in none of the rooms that the rule names, or nobody here
 * may invite. https://spec.matrix.org/v1.19/client-server-api/#restricted-rooms
 */
export async function authoriserOfJoin(
  room: LockedRoom,
  userId: UserId,
  serverName: ServerName,
): Promise<UserId | undefined> {
  const [joinRules] = await readLockedState(room, [{ type: 'm.room.join_rules', state_key: '' }])
  const content = joinRules?.pdu.content ?? {}
  if (!isRestricted(room, content.join_rule)) return undefined
  if (!(await isJoinedToAny(room.db, userId, allowedRooms(content)))) {
    throw new ForbiddenError('You are in none of the rooms whose members may join this room')
  }
  const authoriser = await findAuthoriser(room, serverName)
  if (authoriser === undefined) throw new ForbiddenError('Nobody of this server in the room may let you in')
  return authoriser
}

function isRestricted(room: LockedRoom, joinRule: Json | undefined): boolean {
  const { version } = headOf(room)
  return (
    (version.restrictedJoins && joinRule === 'restricted') ||
    (version.knockRestricted && joinRule === 'knock_restricted')
  )
}

/** The rooms whose members may join, by the content of `m.room.join_rules`: conditions of kinds that are not known, or malformed, are not met. */
export function allowedRooms({ allow }: JsonObject): RoomId[] {
  if (!Array.isArray(allow)) return []
  return allow.flatMap((condition) => {
    const { type, room_id } = (condition ?? {}) as { type?: Json; room_id?: Json }
    return type === 'm.room_membership' && typeof room_id === 'string' && isRoomId(room_id) ? [room_id] : []
  })
}

/** Anybody of ours who is joined and has the power to invite. */
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
