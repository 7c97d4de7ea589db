import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Membership } from '../../../core/rooms/membership.ts'
import { loadUserMemberships } from '../../../storage/rooms/membership/room-memberships.ts'

type Capabilities = Pick<App, 'database' | 'logger' | 'stopping'>

/**
 * Number of a user's rooms changed concurrently: enough to share transactions, few enough to leave capacity for others.
 */
const BATCH = 16

/**
 * Runs an action in all rooms in which a user has one of the memberships, a few at a time. A room that refuses (a
 * MatrixError) is logged and skipped. Rejects after all rooms were tried if some failed otherwise, or if the server
 * stops: then it has to be retried.
 */
export async function inEveryRoom(
  app: Capabilities,
  { userId, memberships, what }: { userId: UserId; memberships: readonly Membership[]; what: string },
  work: (roomId: RoomId) => Promise<void>,
): Promise<void> {
  const rooms = await loadUserMemberships(app.database, userId, memberships)
  const faults: unknown[] = []
  const tryRoom = async (roomId: RoomId) => {
    try {
      await work(roomId)
    } catch (error) {
      if (!(error instanceof MatrixError)) faults.push(error)
      else app.logger.warn({ err: error, room_id: roomId, user_id: userId }, `${what} failed in a room; it is skipped`)
    }
  }
  for (let start = 0; start < rooms.length; start += BATCH) {
    app.stopping.throwIfAborted()
    await Promise.all(rooms.slice(start, start + BATCH).map(({ room_id }) => tryRoom(room_id)))
  }
  if (faults.length > 0) throw new AggregateError(faults, `${what} failed in ${faults.length} rooms`)
}
