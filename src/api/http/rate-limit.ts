import { RateLimiterMemory, type RateLimiterRes } from 'rate-limiter-flexible'
import type { Config } from '../../config.ts'
import { MatrixError } from '../../core/errors.ts'
import type { RateLimit } from './route.ts'

export type RateLimiter = {
  /** Counts a request of `who` (a user id or an address). Throws M_LIMIT_EXCEEDED with `retry_after_ms`. */
  take(category: RateLimit, who: string): Promise<void>
}

/** Limits by category, kept per process: with N processes behind a balancer a client gets up to N times the rate. */
export function createRateLimiter({ enabled, ...categories }: Config['rate_limits']): RateLimiter {
  const limiters = new Map(
    Object.entries(categories).map(([category, { per_second, burst }]) => [
      category,
      new RateLimiterMemory({ points: burst, duration: burst / per_second }),
    ]),
  )
  return {
    async take(category, who) {
      const limiter = enabled ? limiters.get(category) : undefined
      if (!limiter) return
      try {
        await limiter.consume(who)
      } catch (refusal) {
        const retryAfter = Math.max(1, Math.ceil((refusal as RateLimiterRes).msBeforeNext))
        throw new MatrixError(429, 'M_LIMIT_EXCEEDED', 'Too many requests', { retry_after_ms: retryAfter })
      }
    },
  }
}
