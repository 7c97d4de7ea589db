import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { isRoomAlias, type RoomAlias, type RoomId, type ServerName, type UserId } from '../../../core/ids.ts'
import { ROOM_VERSIONS } from '../../../core/room-versions.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import { findMemberships } from '../../../storage/rooms/membership/room-memberships.ts'
import { loadServerMemberships } from '../../../storage/rooms/membership/room-servers.ts'
import { loadSummarisedRooms, type SummarisedRoom } from '../../../storage/rooms/summarised-rooms.ts'
import { readEventsOfStates } from '../../../storage/rooms/timeline/room-state.ts'
import { allowedRooms } from '../access/restricted-join.ts'
import { type ResolvingApp, resolveRoomAlias } from './aliases.ts'
import { publishedRoom } from './public-rooms.ts'
import type { RoomSummary } from './published-room.ts'

/** A room that the viewer may know about. */
export type VisibleRoom = { summary: RoomSummary; stateRoot: number; membership: Membership | undefined }

/**
 * Returns a room's summary for a user, or for anonymous clients when undefined. Throws M_NOT_FOUND for rooms that the
 * viewer may not know about.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1room_summaryroomidoralias
 */
export async function readRoomSummary(
  app: ResolvingApp,
  room: RoomId | RoomAlias,
  userId: UserId | undefined,
): Promise<RoomSummary & { membership?: Membership }> {
  const roomId = isRoomAlias(room) ? (await resolveRoomAlias(app, room)).room_id : room
  const found = (await visibleRooms(app, [roomId], userId)).get(roomId)
  if (!found) throw new NotFoundError('The room does not exist, or you are not allowed to see it')
  return { ...found.summary, ...(userId !== undefined && { membership: found.membership ?? 'leave' }) }
}

/**
 * The viewer of room summaries: a user, a server on behalf of any of its users, an administrator, who may know about
 * each room, or an anonymous client.
 */
export type SummaryViewer = UserId | { server: ServerName } | 'administrator' | undefined

/**
 * Filters rooms to those that a viewer may know about, by the rules of
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy
 */
export async function visibleRooms(
  app: Pick<App, 'database'>,
  roomIds: readonly RoomId[],
  viewer: SummaryViewer,
): Promise<Map<RoomId, VisibleRoom>> {
  const rooms = await loadSummarisedRooms(app.database, roomIds)
  const allowed = await loadAllowedRooms(app, rooms)
  const memberships = await membershipsIn(app, viewer, [...roomIds, ...[...allowed.values()].flat()])
  const visible = new Map<RoomId, VisibleRoom>()
  for (const room of rooms) {
    const rooms = allowed.get(room.room_id) ?? []
    const membership = memberships.get(room.room_id)
    const meetsCondition = rooms.some((roomId) => memberships.get(roomId) === 'join')
    if (viewer !== 'administrator' && !mayKnow(room, membership, meetsCondition)) continue
    visible.set(room.room_id, { summary: summaryOf(room, rooms), stateRoot: room.state_root, membership })
  }
  return visible
}

function mayKnow(room: SummarisedRoom, membership: Membership | undefined, meetsCondition: boolean): boolean {
  if (room.history_visibility === 'world_readable' || membership === 'join') return true
  if (membership === 'ban') return false
  const version = ROOM_VERSIONS.get(room.room_version)
  if (membership === 'invite' || room.join_rule === 'public') return true
  if (room.join_rule === 'knock') return version?.knock === true
  if (room.join_rule === 'knock_restricted') return version?.knockRestricted === true
  return room.join_rule === 'restricted' && version?.restrictedJoins === true && meetsCondition
}

function summaryOf(room: SummarisedRoom, allowed: RoomId[]): RoomSummary {
  return {
    ...publishedRoom(room),
    room_version: room.room_version,
    ...(room.encryption !== null && { encryption: room.encryption }),
    ...(allowed.length > 0 && { allowed_room_ids: allowed }),
  }
}

/** Loads the rooms whose members may join, for each room with a restricted join rule. */
async function loadAllowedRooms(
  app: Pick<App, 'database'>,
  rooms: readonly SummarisedRoom[],
): Promise<Map<RoomId, RoomId[]>> {
  const restricted = rooms.filter(({ join_rule }) => join_rule === 'restricted' || join_rule === 'knock_restricted')
  const rules = await readEventsOfStates(
    app.database,
    restricted.map(({ state_root: root }) => ({ root, type: 'm.room.join_rules', state_key: '' })),
  )
  return new Map(restricted.map(({ room_id }, place) => [room_id, allowedRooms(rules[place]?.pdu.content ?? {})]))
}

async function membershipsIn(
  app: Pick<App, 'database'>,
  viewer: SummaryViewer,
  roomIds: readonly RoomId[],
): Promise<Map<RoomId, Membership>> {
  if (viewer === undefined || viewer === 'administrator') return new Map()
  const rows =
    typeof viewer === 'string'
      ? await findMemberships(app.database, viewer, roomIds)
      : await loadServerMemberships(app.database, viewer.server, roomIds)
  return new Map(rows.map(({ room_id, membership }) => [room_id, membership]))
}
