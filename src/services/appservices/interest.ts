import { type Appservice, hasUser, isInNamespace } from '../../core/appservice.ts'
import type { RoomId, UserId } from '../../core/ids.ts'
import { countMembers } from '../../storage/appservices/appservices.ts'
import type { Db } from '../../storage/engine/database.ts'
import { loadAllAliases, loadRoomAliases } from '../../storage/rooms/aliases.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'

/**
 * The rooms and users that interest an application service, as of a stream position. Kept in memory, so that rows
 * without interest cost nothing.
 * https://spec.matrix.org/v1.19/application-service-api/#registration
 */
export type Interest = {
  hasUser(userId: string): boolean
  /**
   * Whether it gets a room's events: one of its users is joined, or the room or an alias of it is in its namespaces.
   */
  hasRoom(roomId: RoomId): boolean
  /** Returns the number of its users in a room. */
  membersOf(roomId: RoomId): number
  /** Records that one of its users joined or left a room. */
  moveMember(roomId: RoomId, isJoined: boolean): void
  /** Reads the aliases of a room again. */
  refreshAliases(roomId: RoomId): Promise<void>
  /** Returns false if a row is certainly of no interest. */
  mayConcern(row: StreamRow): boolean
}

/** Returns the kinds of stream rows that can interest an application service. */
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

/** Loads an application service's interest as of its stream position. */
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
      // Only the database knows who shares a room with whom.
      if (kind === 'presence' || kind === 'alias') return true
      return isOwn(user_id) || (room_id !== null && hasRoom(room_id))
    },
  }
}

/** Parses a row about a join, or the end of one. */
export function memberOf({ kind, room_id, user_id, detail }: StreamRow) {
  if ((kind !== 'event' && kind !== 'state') || room_id === null || user_id === null) return undefined
  return { roomId: room_id, userId: user_id as UserId, isJoined: detail === 'join' }
}
