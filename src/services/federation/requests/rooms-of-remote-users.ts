import type { App } from '../../../app.ts'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import { loadPartialRoomsOf } from '../../../storage/rooms/membership/partial-rooms.ts'
import { loadJoinedRooms } from '../../../storage/rooms/membership/room-memberships.ts'

/**
 * Returns the rooms that remote users have joined, and rooms with partial state in which they may be, since their
 * server is there.
 */
export async function roomsOfRemoteUsers(
  app: Pick<App, 'database'>,
  server: ServerName,
  userIds: readonly UserId[],
): Promise<{ of(userId: UserId): ReadonlySet<RoomId> }> {
  const joined = await loadJoinedRooms(app.database, userIds)
  const partial = await loadPartialRoomsOf(app.database, server)
  return { of: (userId) => new Set([...(joined.get(userId) ?? []), ...partial]) }
}
