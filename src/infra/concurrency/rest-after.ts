import type { Random } from '../random.ts'

/**
 * How long to leave something alone that has failed `failures` times before, in milliseconds: twice as long each time, from `first` to `longest`; at random
 * between half of that and all, so that what failed together does not come back together.
 */
export function restAfter(
  failures: number,
  { first, longest }: { first: number; longest: number },
  random: Pick<Random, 'bytes'>,
): number {
  const whole = Math.min(first * 2 ** Math.min(failures, 30), longest)
  return Math.round(whole * (0.5 + random.bytes(1)[0]! / 512))
}
