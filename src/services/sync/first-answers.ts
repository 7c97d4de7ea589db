import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { createConcurrencyLimit } from '../../infra/concurrency-limit.ts'
import { createKeyedLimit } from '../../infra/keyed-limit.ts'
import { madeOnce } from '../../infra/made-once.ts'

/** First answers that are made at a time, of one user and in all, and how many of one user wait. */
const OF_USER = 2
const IN_ALL = 12
const WAITING = 50
const RETRY_MS = 5000

type Lanes = {
  ofUser: ReturnType<typeof createKeyedLimit<UserId>>
  inAll: ReturnType<typeof createConcurrencyLimit>
}
const lanes = new WeakMap<App['stream'], Lanes>()

/** Makes the first answer to a client, which is as large as the account. Takes its turn: what is made at a time is in memory. Throws M_LIMIT_EXCEEDED. */
export async function inTurnOfUser<Answer>(
  app: Pick<App, 'stream'>,
  userId: UserId,
  make: () => Promise<Answer>,
): Promise<Answer> {
  const { ofUser, inAll } = madeOnce(lanes, app.stream, () => ({
    ofUser: createKeyedLimit<UserId>({ limit: OF_USER, size: WAITING }),
    inAll: createConcurrencyLimit(IN_ALL),
  }))
  const made = ofUser(userId, () => inAll(make))
  if (made) return made
  const retry = { retry_after_ms: RETRY_MS }
  throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many first syncs of this user wait already', retry)
}
