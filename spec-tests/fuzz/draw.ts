import fc from 'fast-check'
import { type Chance, seeded } from '../harness/seeded.ts'

/** Seeded choices, and values of fast-check's arbitraries by the same seed. */
export type Draw = Chance & { value<Value>(arbitrary: fc.Arbitrary<Value>): Value }

const SEEDS = 2 ** 31

export function drawFrom(seed: number): Draw {
  const chance = seeded(seed)
  return { ...chance, value: (arbitrary) => fc.sample(arbitrary, { numRuns: 1, seed: chance.below(SEEDS) })[0]! }
}

/** Returns a seed for each step of each lane, so that a step can be reproduced without the previous ones. */
export function stepSeed(seed: number, lane: number, step: number): number {
  return (Math.imul(seed ^ Math.imul(lane + 1, 0x9e3779b1), 0x85ebca6b) ^ Math.imul(step + 1, 0xc2b2ae35)) >>> 0
}
