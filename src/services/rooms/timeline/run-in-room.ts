import type { App } from '../../../app.ts'
import { ForbiddenError, MatrixError } from '../../../core/errors.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import { ApprovalNeeded } from './approval-needed.ts'
import { seekApproval } from './seek-approval.ts'

/** A command asks once for each of its events, and again for earlier ones whose approval the room's changes void. */
const MOST_QUESTIONS = 30

/**
 * Runs a command in a room of this server; see `RoomTransactions.run`. Between attempts, outside the transaction, it
 * asks the room's policy server for signatures, and the service for spam checks. Throws M_FORBIDDEN for an unknown
 * room, which hides which rooms exist.
 */
export async function runInRoom<Result>(
  app: Pick<App, 'rooms' | 'federation' | 'signingKeys' | 'timeline' | 'spamChecks'>,
  roomId: RoomId,
  command: (room: LockedRoom) => Promise<Result>,
  options?: { goesFirst: boolean },
): Promise<Result> {
  for (let questions = 0; questions < MOST_QUESTIONS; questions++) {
    try {
      const known = async (room: LockedRoom) => {
        if (!room.head) throw new ForbiddenError('You are not in this room')
        return command(room)
      }
      return await app.rooms.run(roomId, known, options)
    } catch (error) {
      if (!(error instanceof ApprovalNeeded)) throw error
      app.timeline.approvedEvents.note(await seekApproval(app, error))
    }
  }
  throw new MatrixError(502, 'M_UNKNOWN', 'The room changes faster than its events can be checked. Try again later.')
}
