import { type RoomId, serverNameOf, type UserId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import type { NewEdu } from '../../../storage/federation/federation-outbox.ts'
import { loadOtherServers } from '../../../storage/rooms/membership/other-servers.ts'
import { loadTypingUsers } from '../../../storage/rooms/typing.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'
import type { FollowingApp } from './following-app.ts'

/**
 * Returns EDUs for typing changes of local users, for the other servers in their rooms.
 * https://spec.matrix.org/v1.19/server-server-api/#typing-notifications
 */
export async function typingEdus(
  app: Pick<FollowingApp, 'serverName' | 'clock'>,
  db: Db,
  rows: readonly StreamRow[],
): Promise<NewEdu[]> {
  const changed = new Map<string, { roomId: RoomId; userId: UserId }>()
  for (const { kind, room_id: roomId, detail } of rows) {
    if (kind !== 'typing' || roomId === null || detail === null) continue
    const userId = detail as UserId
    if (serverNameOf(userId) === app.serverName) changed.set(`${roomId} ${userId}`, { roomId, userId })
  }
  if (changed.size === 0) return []
  const rooms = [...new Set([...changed.values()].map(({ roomId }) => roomId))]
  const servers = await loadOtherServers(db, rooms)
  const typing = await loadTypingUsers(db, [...servers.keys()], app.clock.now())
  return [...changed.values()].flatMap(({ roomId, userId }) =>
    (servers.get(roomId) ?? []).map((destination) => ({
      destination,
      type: 'm.typing',
      content: { room_id: roomId, user_id: userId, typing: typing.get(roomId)?.includes(userId) ?? false },
      key: `m.typing ${roomId} ${userId}`,
      isEphemeral: true,
    })),
  )
}
