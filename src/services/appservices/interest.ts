import { type Appservice, hasUser, isInNamespace } from '../../core/appservice.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import { countMembers } from '../../storage/appservices/appservices.ts'
import type { Db } from '../../storage/engine/database.ts'
import { loadAllAliases, loadRoomAliases } from '../../storage/rooms/room-aliases.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'

/**
 * What an application service is interested in, as of a place in the stream: kept in memory, so that what is of no
 * interest costs nothing.
 * https://spec.matrix.org/v1.19/application-service-api/#registration
 */
export type Interest = {
  hasUser(userId: string): boolean
  /**
   * Whether it is told what happens in a room: one of its users is there, or the room or an alias of it is in its
   * namespace.
   */
  hasRoom(roomId: RoomId): boolean
  /** How many of its users are in a room. */
  membersOf(roomId: RoomId): number
  /** One of its users has joined a room or left it. */
  moveMember(roomId: RoomId, isJoined: boolean): void
  /** Looks again for the aliases of a room. */
  refreshAliases(roomId: RoomId): Promise<void>
  /** Whether a row may be of interest; false: it is not. */
  mayConcern(row: StreamRow): boolean
}

/** The kinds of stream rows that an application service can be interested in. */
export function kindsFor({ ephemeralKeys, receivesToDevice, receivesDeviceLists }: Appservice): string[] {
  return [
    'event',
    'state',
    'alias',
    ...(ephemeralKeys.length > 0 ? ['typing', 'receipt', 'presence'] : []),
    ...(receivesToDevice ? ['to_device'] : []),
    ...(receivesDeviceLists ? ['device_list', 'one_time_keys'] : []),
  ]
}

/** Reads what an application service is interested in, as of its position in the stream. */
export async function loadInterest(db: Db, appservice: Appservice): Promise<Interest> {
  const kinds = new Set(kindsFor(appservice))
  const members = await countMembers(db, appservice.id)
  const aliased = new Set<RoomId>()
  const hasAlias = (alias: string) => isInNamespace(appservice, 'aliases', alias)
  if (appservice.namespaces.aliases.length > 0) {
    for (const { room_alias, room_id } of await loadAllAliases(db)) if (hasAlias(room_alias)) aliased.add(room_id)
  }
  const isOwn = (userId: string | null) => userId !== null && hasUser(appservice, userId)
  const hasRoom = (roomId: RoomId) =>
    members.has(roomId) || aliased.has(roomId) || isInNamespace(appservice, 'rooms', roomId)

  return {
    hasUser: isOwn,
    hasRoom,
    membersOf: (roomId) => members.get(roomId) ?? 0,
    moveMember(roomId, isJoined) {
      const count = (members.get(roomId) ?? 0) + (isJoined ? 1 : -1)
      if (count > 0) members.set(roomId, count)
      else members.delete(roomId)
    },
    async refreshAliases(roomId) {
      if (appservice.namespaces.aliases.length === 0) return
      if ((await loadRoomAliases(db, roomId)).some(hasAlias)) aliased.add(roomId)
      else aliased.delete(roomId)
    },
    mayConcern({ kind, room_id, user_id }) {
      if (!kinds.has(kind)) return false
      // Who shares a room with whom is for the database to say.
      if (kind === 'presence' || kind === 'alias') return true
      return isOwn(user_id) || (room_id !== null && hasRoom(room_id))
    },
  }
}

/** Whether a row says that somebody has joined a room, or is not in it any more. */
export function memberOf({ kind, room_id, user_id, detail }: StreamRow) {
  if ((kind !== 'event' && kind !== 'state') || room_id === null || user_id === null) return undefined
  return { roomId: room_id, userId: user_id as UserId, isJoined: detail === 'join' }
}
