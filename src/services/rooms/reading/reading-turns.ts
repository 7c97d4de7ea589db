import type { UserId } from '../../../core/ids.ts'
import { createLanes } from '../../../infra/concurrency/lanes.ts'

/**
 * Runs a read whose cost grows with a room or with the index, so that the reads of one user do not take all
 * connections. Further reads of that user wait: the limits of requests bound how many. `read` makes no such read in
 * turn, and waits for no server.
 */
export type ReadingTurns = <Result>(userId: UserId, read: () => Promise<Result>) => Promise<Result>

/** Maximum concurrent expensive reads per user and process: fewer than `database.pool_size`. */
const OF_USER = 3

export function createReadingTurns(): ReadingTurns {
  const lanes = createLanes<UserId>({ each: OF_USER, waiting: Number.POSITIVE_INFINITY })
  return (userId, read) => lanes(userId, read)!
}
