import type { App } from '../../../app.ts'
import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import { askPolicyServer } from './ask-policy-server.ts'
import { PolicySignatureNeeded } from './policy-server.ts'

/** A command asks for each event that it sends, and again for those before whose approval the room has changed. */
const MOST_QUESTIONS = 30

/**
 * Runs a command in a room that this server has; see `RoomTransactions.run`. Where the room has a policy server, that
 * approves of the command's events in between, outside of the transaction. Throws M_FORBIDDEN for a room that it does
 * not have: strangers learn nothing about which rooms exist.
 */
export async function runInRoom<Result>(
  app: Pick<App, 'rooms' | 'federation' | 'signingKey' | 'timeline'>,
  roomId: RoomId,
  command: (room: LockedRoom) => Promise<Result>,
): Promise<Result> {
  for (let questions = 0; questions < MOST_QUESTIONS; questions++) {
    try {
      return await app.rooms.run(roomId, async (room) => {
        if (!room.head) throw new ForbiddenError('You are not in this room')
        return command(room)
      })
    } catch (error) {
      if (!(error instanceof PolicySignatureNeeded)) throw error
      app.timeline.approvedEvents.note(await askPolicyServer(app, error))
    }
  }
  throw new MatrixError(502, 'M_UNKNOWN', 'The room changes faster than its policy server answers')
}
