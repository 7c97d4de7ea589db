import { randomInt } from 'node:crypto'
import { fuzz } from './fuzz.ts'

/**
 * `npm run fuzz`: FUZZ_REQUESTS (default 200000), FUZZ_SEED (default: random) and FUZZ_DATABASE (pglite, postgresql or
 * three-processes). Exit status 1 if there are findings.
 */
const PLACES = ['pglite', 'postgresql', 'three-processes'] as const
/** With fewer requests caches still fill up after the warm-up. */
const MANY = 50_000

const requests = Number(process.env.FUZZ_REQUESTS ?? 200_000)
const seed = Number(process.env.FUZZ_SEED ?? randomInt(2 ** 31))
const place = PLACES.find((each) => each === (process.env.FUZZ_DATABASE ?? 'pglite'))
if (!place || !Number.isSafeInteger(requests) || !Number.isSafeInteger(seed)) {
  console.error(`FUZZ_DATABASE is one of ${PLACES.join(', ')}; FUZZ_REQUESTS and FUZZ_SEED are numbers.`)
  process.exit(2)
}
console.log(`FUZZ_DATABASE=${place} FUZZ_REQUESTS=${requests} FUZZ_SEED=${seed}`)
const started = performance.now()
const { findings, report } = await fuzz({ place, requests, seed, checksMemory: requests >= MANY, log: console.log })
console.log(`\n${Math.round((performance.now() - started) / 1000)} s, ${findings} kinds of findings\n${report}`)
process.exit(findings === 0 ? 0 : 1)
