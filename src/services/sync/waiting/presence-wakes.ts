import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Db } from '../../../storage/engine/database.ts'
import { loadRoomsOfUsers } from '../../../storage/presence/presence.ts'

/** Changes within this time wake together. */
const GATHER_MS = 100

/** Collects users with changed presence, finds their rooms with one query, and calls `wake` for each room. */
export function gatherPresence(app: { database: Db }, wake: (roomId: RoomId) => void): (userId: UserId) => void {
  let changed = new Set<UserId>()
  let timer: NodeJS.Timeout | undefined

  const tell = async () => {
    timer = undefined
    const userIds = [...changed]
    changed = new Set()
    for (const roomId of await loadRoomsOfUsers(app.database, userIds)) wake(roomId)
  }

  return (userId) => {
    changed.add(userId)
    if (timer) return
    timer = setTimeout(() => {
      // After a failure, the change comes with the next response.
      tell().catch(() => {})
    }, GATHER_MS)
    timer.unref()
  }
}
