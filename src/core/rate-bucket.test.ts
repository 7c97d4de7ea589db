import fc from 'fast-check'
import { expect, test } from 'vitest'
import { takeFrom } from './rate-bucket.ts'

const RATE = { per_second: 2, burst: 3 }

test('a burst at once, then one for each refill', () => {
  let fullAt = 0
  const take = (now: number) => {
    const taken = takeFrom(RATE, fullAt, { now })
    if ('wait' in taken) return taken.wait
    fullAt = taken.fullAt
    return 'taken'
  }
  expect([take(1000), take(1000), take(1000), take(1000)]).toEqual(['taken', 'taken', 'taken', 500])
  expect([take(1400), take(1500), take(1500)]).toEqual([100, 'taken', 500])
  expect([take(9000), take(9000), take(9000), take(9000)]).toEqual(['taken', 'taken', 'taken', 500])
})

test('at any times and rates, never more than a burst and the refill; a caller that waits as told is admitted', () => {
  const rates = fc.record({
    per_second: fc.double({ min: 0.01, max: 500, noNaN: true }),
    burst: fc.integer({ min: 1, max: 50 }),
  })
  fc.assert(
    fc.property(rates, fc.array(fc.integer({ min: 0, max: 3000 }), { maxLength: 200 }), (rate, pauses) => {
      let [now, fullAt, taken] = [5000, 0, 0]
      for (const pause of pauses) {
        now += pause
        const one = takeFrom(rate, fullAt, { now })
        if ('wait' in one) expect(takeFrom(rate, fullAt, { now: now + one.wait })).toHaveProperty('fullAt')
        else {
          fullAt = one.fullAt
          taken++
        }
      }
      expect(taken).toBeLessThanOrEqual(rate.burst + ((now - 5000) / 1000) * rate.per_second + 0.01)
    }),
  )
})
