import type { UserId } from '../../../core/ids.ts'

/** The waiting requests of users. */
export type WaitingRequests = {
  /**
   * Registers a waiting request of a user until the returned function is called. Each stream row wakes all requests of
   * the users it concerns. Beyond the limit of a user, calls `end` of the oldest.
   */
  enter(userId: UserId, end: () => void): () => void
}

/** `max`: waiting requests per user, as in `limits.counts.waiting_requests`. */
export function createWaitingRequests(max: number): WaitingRequests {
  /** Callbacks that end waiting requests, by user, the oldest first. */
  const users = new Map<UserId, Set<() => void>>()
  return {
    enter(userId, end) {
      const waiting = users.get(userId) ?? new Set()
      users.set(userId, waiting)
      waiting.add(end)
      const [oldest] = waiting
      if (waiting.size > max && oldest) {
        waiting.delete(oldest)
        oldest()
      }
      return () => {
        waiting.delete(end)
        if (waiting.size === 0 && users.get(userId) === waiting) users.delete(userId)
      }
    },
  }
}
