/** How much may be asked for: a bucket of `burst` requests, refilled at `per_second`. */
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
 * Whether so many more requests may be taken from a bucket that is full again at `fullAt`: then when it is full after that, else how long to wait for
 * them.
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
