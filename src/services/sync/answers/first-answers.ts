import { MatrixError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { createLanes } from '../../../infra/concurrency/lanes.ts'

/** Concurrent initial syncs, per user and in total, and how many of one user wait. */
const OF_USER = 2
const IN_ALL = 12
const WAITING = 48
const RETRY_MS = 5000

/** Computes the responses to initial syncs, which are as large as the account. */
export type FirstAnswers = {
  /** Computes a response under a concurrency limit that bounds memory. Throws M_LIMIT_EXCEEDED. */
  inTurn<Answer>(userId: UserId, make: () => Promise<Answer>): Promise<Answer>
}

export function createFirstAnswers(): FirstAnswers {
  const lanes = createLanes<UserId>({ each: OF_USER, waiting: WAITING, total: IN_ALL })
  return {
    async inTurn(userId, make) {
      const made = lanes(userId, make)
      if (made) return made
      const retry = { retry_after_ms: RETRY_MS }
      throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many initial syncs of this user. Try again later.', retry)
    },
  }
}
