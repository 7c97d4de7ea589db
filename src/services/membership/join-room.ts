import { setTimeout as pause } from 'node:timers/promises'
import type { App } from '../../app.ts'
import { ForbiddenError, MatrixError } from '../../core/errors.ts'
import type { RoomAlias, RoomId, ServerName, UserId } from '../../core/ids.ts'
import type { JsonObject } from '../../core/pdu.ts'
import { findPartialRoom } from '../../storage/rooms/membership/partial-rooms.ts'
import { findMembership } from '../../storage/rooms/membership/room-memberships.ts'
import { loadProfile } from '../../storage/users/profiles.ts'
import { RoomArrived } from '../federation/joining/join-race.ts'
import { joinRemotely, joinThroughOthers } from '../federation/joining/join-remotely.ts'
import { locateRoom, type RoomLocation } from '../lookup/locate-room.ts'
import { memberContent } from '../rooms/access/member-content.ts'
import { screenJoin } from '../rooms/access/screen-join.ts'
import { joinLocally } from '../rooms/membership/join-locally.ts'

export type JoinRequest = {
  userId: UserId
  isGuest: boolean
  room: RoomId | RoomAlias
  /** Servers that, according to the client, are in the room. */
  via: readonly ServerName[]
  /** Further keys of the member event, such as `reason`. */
  content: JsonObject
}

/**
 * Joins a room, locally or remotely, and returns its ID. Does nothing for a joined user. Throws M_NOT_FOUND,
 * M_FORBIDDEN, M_GUEST_ACCESS_FORBIDDEN, refusals of other servers and of the spam check, and 502 if no server can be
 * reached.
 * https://spec.matrix.org/v1.19/client-server-api/#joining-rooms
 */
export async function joinRoom(app: App, request: JoinRequest): Promise<RoomId> {
  const location = await locateRoom(app, request)
  await screenJoin(app, location.roomId, request.userId)
  return joinLocated(app, request, location)
}

async function joinLocated(app: App, request: JoinRequest, location: RoomLocation): Promise<RoomId> {
  await (location.isHere ? joinHere(app, request, location) : joinElsewhere(app, request, location))
  return location.roomId
}

async function joinHere(app: App, request: JoinRequest, location: RoomLocation): Promise<void> {
  const { userId, isGuest, content } = request
  // Invites and bans of the user while no local user was in the room are not known here yet.
  if (await isUnknownIn(app, location.roomId, userId)) return joinByOthers(app, request, location)
  const join = () => joinLocally(app, { userId, isGuest, room: location.roomId, content })
  const refusal = await refusalOfGrant(join)
  if (!refusal) return
  if (location.servers.length === 0) throw new ForbiddenError(refusal.message)
  // The event that gives a local user the power to authorise joins may still be on its way.
  await pause(BEHIND_MS)
  if (!(await refusalOfGrant(join))) return
  await joinByOthers(app, request, location)
}

async function isUnknownIn(app: Pick<App, 'database'>, roomId: RoomId, userId: UserId): Promise<boolean> {
  if (!(await findPartialRoom(app.database, roomId))) return false
  return (await findMembership(app.database, roomId, userId))?.membership !== 'join'
}

async function joinByOthers(app: App, request: JoinRequest, location: RoomLocation): Promise<void> {
  const { userId, isGuest, content } = request
  if (isGuest) throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests may not join rooms of other servers')
  await joinThroughOthers(app, { ...location, userId, content: await joinContent(app, userId, content) })
}

/** How far this server may lag behind others in the room; short compared with a join. */
const BEHIND_MS = 300

/**
 * Returns the reason why no local user may authorise the join, if that is what prevents it; any other error is thrown.
 */
async function refusalOfGrant(join: () => Promise<unknown>): Promise<MatrixError | undefined> {
  try {
    await join()
    return undefined
  } catch (error) {
    if (error instanceof MatrixError && error.errcode === 'M_UNABLE_TO_GRANT_JOIN') return error
    throw error
  }
}

/** Concurrent joins of a room run in parallel; once one has succeeded, the others join locally. */
async function joinElsewhere(app: App, request: JoinRequest, { roomId, servers }: RoomLocation): Promise<void> {
  const { userId, isGuest, content } = request
  if (isGuest) throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests may not join rooms of other servers')
  const whole = await joinContent(app, userId, content)
  try {
    await app.remote.joinRaces.enter(roomId, (race) =>
      joinRemotely(app, { roomId, userId, servers, content: whole }, race),
    )
  } catch (error) {
    if (!(error instanceof RoomArrived)) throw error
    const arrived = { ...request, room: roomId, via: servers }
    await joinLocated(app, arrived, await locateRoom(app, arrived))
  }
}

async function joinContent(app: Pick<App, 'database'>, userId: UserId, content: JsonObject): Promise<JsonObject> {
  return memberContent('join', content, await loadProfile(app.database, userId))
}
