import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { RoomId, UserId } from '../../../core/ids.ts'
import { findPartialRoom } from '../../../storage/rooms/membership/partial-rooms.ts'
import { accessState, type RoomAccess } from './room-access.ts'

type Waiting = Pick<App, 'database' | 'stream' | 'stopping'>

/** Clients and proxies time out at about this time, too. */
const LONGEST_WAIT_MS = 120_000

/**
 * Waits until all members of a room are known, which takes a while after the first local user has joined it. Throws 503
 * M_UNABLE_DUE_TO_PARTIAL_STATE on timeout.
 * https://github.com/matrix-org/matrix-spec-proposals/pull/3902
 */
export async function awaitFullState(app: Waiting, roomId: RoomId): Promise<void> {
  if (!(await findPartialRoom(app.database, roomId))) return
  const completion = awaitCompletion(app, roomId)
  try {
    // The state may have become full before the listener was added.
    await app.stream.refresh()
    if (!(await findPartialRoom(app.database, roomId)) || (await completion.ended)) return
  } finally {
    completion.cancel()
  }
  throw new MatrixError(
    503,
    'M_UNABLE_DUE_TO_PARTIAL_STATE',
    'The members of the room are not completely known yet. Try again later.',
  )
}

/** As `accessState`, but waits until all members of the room are known. Users without access do not wait. */
export async function accessFullState(app: Waiting, roomId: RoomId, userId: UserId): Promise<RoomAccess> {
  const isPartial = await findPartialRoom(app.database, roomId)
  const access = await accessState(app, roomId, userId)
  if (!isPartial) return access
  await awaitFullState(app, roomId)
  return accessState(app, roomId, userId)
}

function awaitCompletion(app: Pick<App, 'stream' | 'stopping'>, roomId: RoomId) {
  const { promise: ended, resolve } = Promise.withResolvers<boolean>()
  const giveUp = () => resolve(false)
  const timer = setTimeout(giveUp, LONGEST_WAIT_MS)
  app.stopping.addEventListener('abort', giveUp)
  const unsubscribe = app.stream.subscribe((rows) => {
    if (rows.some(({ kind, room_id }) => kind === 'room_complete' && room_id === roomId)) resolve(true)
  })
  const cancel = () => {
    clearTimeout(timer)
    app.stopping.removeEventListener('abort', giveUp)
    unsubscribe()
  }
  return { ended, cancel }
}
