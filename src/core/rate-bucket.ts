/** A token bucket: `burst` requests, refilled at `per_second`. */
export type Rate = { per_second: number; burst: number }

/** How long the bucket takes to refill by one request, in milliseconds. */
export function costOf({ per_second }: Rate): number {
  return 1000 / per_second
}

/** How far from full a bucket may be, in milliseconds of refilling. */
export function depthOf(rate: Rate): number {
  return rate.burst * costOf(rate)
}

/**
 * Takes requests from a bucket that is full again at `fullAt`. Returns the new time when it is full, or how long to
 * wait if it holds too few.
 */
export function takeFrom(
  rate: Rate,
  fullAt: number,
  { now, count = 1 }: { now: number; count?: number },
): { fullAt: number } | { wait: number } {
  const after = Math.max(fullAt, now) + count * costOf(rate)
  const wait = after - now - depthOf(rate)
  // Sums of fractions of milliseconds are not exact.
  return wait > 0.01 ? { wait } : { fullAt: after }
}
