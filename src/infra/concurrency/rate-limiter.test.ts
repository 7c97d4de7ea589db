import { afterAll, beforeAll, expect, test } from 'vitest'
import type { MatrixError } from '../../core/errors.ts'
import type { Database } from '../../storage/engine/database.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import { systemClock } from '../clock.ts'
import { createLogger } from '../logger.ts'
import { createRateLimiter, type RateLimiter } from './rate-limiter.ts'

/** Two processes on one database. */
let database: Database
let limiters: RateLimiter[]
const HOUR_TO_REFILL = 1 / 3600

beforeAll(async () => {
  database = { ...(await createTestDatabase()), engine: 'postgresql' }
  const rates = {
    login: { per_second: HOUR_TO_REFILL, burst: 5 },
    message: { per_second: HOUR_TO_REFILL, burst: 40 },
    join: { per_second: 0.5, burst: 2 },
  }
  const logger = createLogger({ level: 'fatal', format: 'json' })
  limiters = [1, 2].map(() => createRateLimiter({ rates, database, clock: systemClock, logger }))
})
afterAll(async () => {
  for (const limiter of limiters) await limiter.stop()
  await database.close()
})

/** 'taken', or the message of the refusal. */
async function take(process: number, category: string, subject: string): Promise<unknown> {
  try {
    await limiters[process % 2]!.take(category, subject)
    return 'taken'
  } catch (error) {
    return (error as MatrixError).toJSON()
  }
}

const REFUSED = { errcode: 'M_LIMIT_EXCEEDED', error: 'Too many requests', retry_after_ms: expect.any(Number) }

test('attempts to log in are counted together at once, even when all come at once', async () => {
  const attempts = await Promise.all(
    Array.from({ length: 20 }, (_, process) => take(process, 'login', '@a:hearth.test')),
  )
  expect(attempts.filter((attempt) => attempt === 'taken')).toHaveLength(5)
  const refusals = attempts.filter((attempt) => attempt !== 'taken') as { retry_after_ms: number }[]
  for (const refusal of refusals) {
    expect(refusal).toEqual(REFUSED)
    expect(refusal.retry_after_ms).toBeGreaterThan(3_590_000)
    expect(refusal.retry_after_ms).toBeLessThanOrEqual(3_600_000)
  }
  expect(await take(0, 'login', '@b:hearth.test')).toBe('taken')
})

test('a rate of its own replaces the rate of the category for a subject, also in other processes', async () => {
  const [first, second] = limiters as [RateLimiter, RateLimiter]
  const rate = { per_second: HOUR_TO_REFILL, burst: 3 }
  for (let time = 0; time < 3; time++) await first.take('message', '@own:hearth.test', { rate })
  await expect(first.take('message', '@own:hearth.test', { rate })).rejects.toThrow('Too many requests')
  const refusal = () => second.take('message', '@own:hearth.test', { rate }).catch((error) => error.errcode)
  await expect.poll(refusal).toBe('M_LIMIT_EXCEEDED')
  await first.take('message', '@other:hearth.test')
  await first.take('unlimited', '@own:hearth.test', { rate })
})

test('counts of one process reach the other soon', async () => {
  for (let time = 0; time < 40; time++) expect(await take(0, 'message', '@a:hearth.test')).toBe('taken')
  expect(await take(0, 'message', '@a:hearth.test')).toEqual(REFUSED)
  let taken = 0
  await expect
    .poll(
      async () => {
        const answer = await take(1, 'message', '@a:hearth.test')
        if (answer === 'taken') taken++
        return answer
      },
      { interval: 250 },
    )
    .toEqual(REFUSED)
  expect(taken).toBeLessThan(40)
})

test('it is refilled', async () => {
  for (let time = 0; time < 2; time++) expect(await take(0, 'join', '@a:hearth.test')).toBe('taken')
  expect(await take(0, 'join', '@a:hearth.test')).toEqual(REFUSED)
  await expect.poll(() => take(0, 'join', '@a:hearth.test')).toBe('taken')
})

test('categories without a limit are not counted', async () => {
  for (let time = 0; time < 100; time++) expect(await take(0, 'none', '@a:hearth.test')).toBe('taken')
})
