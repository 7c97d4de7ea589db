import { randomInt } from 'node:crypto'
import { expect, test } from 'vitest'
import { fuzz } from '../fuzz/fuzz.ts'

/** These take some ten seconds for each seed; `npm run fuzz` sends 200,000. */
const REQUESTS = 1_500
/** A fixed one, and a random one, which is printed so that the run can be repeated. */
const SEEDS = [13, randomInt(2 ** 31)]

test.each(SEEDS)('requests and events by the seed %i harm nobody', async (seed) => {
  console.log(`FUZZ_REQUESTS=${REQUESTS} FUZZ_SEED=${seed} npm run fuzz`)
  const lines: string[] = []
  const log = (line: string) => void lines.push(line)
  const result = await fuzz({ place: 'pglite', requests: REQUESTS, seed, checksMemory: false, log })
  expect(result.report, lines.join('\n')).toBe('')
  // If everything were refused, nothing would be tested.
  expect(result.accepted).toBeGreaterThan(0.35)
})
