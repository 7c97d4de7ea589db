import type { App } from '../../../app.ts'
import type { RoomId, ServerName, UserId } from '../../../core/ids.ts'
import { loadPartialRoomsOf } from '../../../storage/rooms/membership/partial-rooms.ts'
import { loadJoinedRooms } from '../../../storage/rooms/membership/room-memberships.ts'

/**
 * The rooms that users of another server have joined, and those in which they may be: of which this server does not
 * know all members, while it knows that theirs is there.
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
