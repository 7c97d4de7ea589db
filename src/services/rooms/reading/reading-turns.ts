import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import { createLanes, type Lanes } from '../../../infra/concurrency/lanes.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'

/** Costly reads of one user that a process has the database do at a time: fewer than `database.pool_size`. */
const OF_USER = 3

const turns = new WeakMap<App['database'], Lanes<UserId>>()

/**
 * Runs a read whose cost grows with a room or with the index, so that the reads of one user do not take all
 * connections. Others of that user wait: what makes them is limited by itself. `read` makes no such read in turn, and
 * waits for no server.
 */
export function inReadingTurn<Result>(
  app: Pick<App, 'database'>,
  userId: UserId,
  read: () => Promise<Result>,
): Promise<Result> {
  const create = () => createLanes<UserId>({ each: OF_USER, waiting: Number.POSITIVE_INFINITY })
  return madeOnce(turns, app.database, create)(userId, read)!
}
