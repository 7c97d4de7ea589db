import type { App } from '../../../app.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { loadRoomsOfUsers } from '../../../storage/presence/presence.ts'

/** Changes within this time wake together. */
const GATHER_MS = 100

/**
 * Collects users whose presence changed and then, with one query for all of them, says in which rooms this is to be
 * told.
 * `wake` is called for each room.
 */
export function gatherPresence(app: Pick<App, 'database'>, wake: (roomId: RoomId) => void): (userId: UserId) => void {
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
      // Where this fails, it is told with the next answer.
      tell().catch(() => {})
    }, GATHER_MS)
    timer.unref()
  }
}
