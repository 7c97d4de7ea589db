import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'

/** Ends of requests that wait, by user, the oldest first. */
type Waiting = Map<UserId, Set<() => void>>

const waitingNow = new WeakMap<App['stream'], Waiting>()

/**
 * Notes that a request of a user waits for news, until the returned function is called. Each row of the stream wakes
 * all requests of those whom it concerns; of more than `limits.counts.waiting_requests`, `end` of the oldest is called.
 */
export function enterWaiting(
  { stream, config }: Pick<App, 'stream' | 'config'>,
  userId: UserId,
  end: () => void,
): () => void {
  const users = madeOnce(waitingNow, stream, (): Waiting => new Map())
  const waiting = users.get(userId) ?? new Set()
  users.set(userId, waiting)
  waiting.add(end)
  const [oldest] = waiting
  if (waiting.size > config.limits.counts.waiting_requests && oldest) {
    waiting.delete(oldest)
    oldest()
  }
  return () => {
    waiting.delete(end)
    if (waiting.size === 0 && users.get(userId) === waiting) users.delete(userId)
  }
}
