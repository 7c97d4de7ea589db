import type { App } from '../../../app.ts'
import type { UserId } from '../../../core/ids.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'

/** Callbacks that end waiting requests, by user, the oldest first. */
type Waiting = Map<UserId, Set<() => void>>

const waitingNow = new WeakMap<App['stream'], Waiting>()

/**
 * Registers a waiting request of a user until the returned function is called. Each stream row wakes all requests of
 * the users it concerns. Beyond `limits.counts.waiting_requests`, calls `end` of the oldest.
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
