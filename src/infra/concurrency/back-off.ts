import type { Random } from '../random.ts'

/** The delays before a retry, in milliseconds: the one after the first failure, and the cap. */
export type BackOffBounds = { first: number; longest: number }

/**
 * Returns the delay before the next attempt after `failures` earlier failures, in milliseconds: doubled each time, up
 * to the cap.
 */
export function backOff(failures: number, { first, longest }: BackOffBounds): number {
  return Math.min(first * 2 ** Math.min(failures, 30), longest)
}

/**
 * Returns a random delay between half of `backOff` and all of it, so that what failed together is not retried together.
 */
export function jitteredBackOff(failures: number, bounds: BackOffBounds, random: Pick<Random, 'bytes'>): number {
  return Math.round(backOff(failures, bounds) * (0.5 + random.bytes(1)[0]! / 512))
}
