import type { UserId } from '../../../core/ids.ts'
import { createLanes } from '../../../infra/concurrency/lanes.ts'

/**
 * Runs a read whose cost grows with a room or an index, so that the reads of one user do not take all connections.
 * Further reads of that user wait; the requests behind them are limited elsewhere. `read` must not nest another such
 * read, nor wait for another server.
 */
export type ReadingTurns = <Result>(userId: UserId, read: () => Promise<Result>) => Promise<Result>

/** Maximum concurrent expensive reads per user and process: fewer than `database.pool_size`. */
const OF_USER = 3

export function createReadingTurns(): ReadingTurns {
  const lanes = createLanes<UserId>({ each: OF_USER, waiting: Number.POSITIVE_INFINITY })
  return (userId, read) => lanes(userId, read)!
}
