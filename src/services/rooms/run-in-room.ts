import type { App } from '../../app.ts'
import { ForbiddenError } from '../../core/errors.ts'
import type { RoomId } from '../../core/ids.ts'
import type { LockedRoom } from '../../storage/locked-room.ts'

/**
 * Runs a command in a room that this server has; see `RoomTransactions.run`. Throws M_FORBIDDEN for a room that it does not have:
 * strangers learn nothing about which rooms exist.
 */
export function runInRoom<Result>(
  app: Pick<App, 'rooms'>,
  roomId: RoomId,
  command: (room: LockedRoom) => Promise<Result>,
): Promise<Result> {
  return app.rooms.run(roomId, async (room) => {
    if (!room.head) throw new ForbiddenError('You are not in this room')
    return command(room)
  })
}
