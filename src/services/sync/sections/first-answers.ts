import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { createLanes, type Lanes } from '../../../infra/concurrency/lanes.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'

/** Concurrent initial syncs, per user and in total, and how many of one user wait. */
const OF_USER = 2
const IN_ALL = 12
const WAITING = 48
const RETRY_MS = 5000

const lanes = new WeakMap<App['stream'], Lanes<UserId>>()

/**
 * Computes the response to an initial sync, which is as large as the account, under a concurrency limit that bounds
 * memory. Throws M_LIMIT_EXCEEDED.
 */
export async function inTurnOfUser<Answer>(
  app: Pick<App, 'stream'>,
  userId: UserId,
  make: () => Promise<Answer>,
): Promise<Answer> {
  const limits = { each: OF_USER, waiting: WAITING, total: IN_ALL }
  const made = madeOnce(lanes, app.stream, () => createLanes<UserId>(limits))(userId, make)
  if (made) return made
  const retry = { retry_after_ms: RETRY_MS }
  throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many first syncs of this user wait already', retry)
}
