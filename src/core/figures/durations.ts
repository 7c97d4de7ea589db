/** Upper bounds of buckets for durations, in seconds. One more bucket has all that is longer. */
export const DURATION_BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

/** Returns the bucket of a duration in seconds. */
export function bucketOf(seconds: number): number {
  let bucket = 0
  while (bucket < DURATION_BOUNDS.length && seconds > DURATION_BOUNDS[bucket]!) bucket++
  return bucket
}

/**
 * Estimates a quantile in seconds from the counts of the buckets, as Prometheus does: by interpolation within a bucket.
 * The longest bound stands for all that is longer. Null if nothing was counted.
 */
export function quantileOf(counts: readonly number[], quantile: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0)
  if (total === 0) return null
  const rank = total * quantile
  let below = 0
  for (const [bucket, count] of counts.entries()) {
    if (below + count < rank || count === 0) {
      below += count
      continue
    }
    const end = DURATION_BOUNDS[bucket]
    if (end === undefined) break
    const start = DURATION_BOUNDS[bucket - 1] ?? 0
    return start + ((end - start) * (rank - below)) / count
  }
  return DURATION_BOUNDS.at(-1)!
}
