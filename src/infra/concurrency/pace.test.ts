import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createPace } from './pace.ts'

beforeEach(() => vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate', 'Date'] }))
afterEach(() => vi.useRealTimers())

/** The callers that start immediately, and in each millisecond after that. */
async function beginnings(count: number, overMs: number): Promise<number[][]> {
  const { mayBegin, haveBegun } = createPace(overMs)
  const begun: { number: number; at: number }[] = []
  let isAll = false
  for (let number = 1; number <= count; number++) void mayBegin().then(() => begun.push({ number, at: Date.now() }))
  void haveBegun().then(() => {
    isAll = true
  })
  while (!isAll) await vi.advanceTimersByTimeAsync(1)
  return [...Map.groupBy(begun, ({ at }) => at).values()].map((some) => some.map(({ number }) => number))
}

test('one begins after the other, with a pause between them, in order', async () => {
  expect(await beginnings(4, 100)).toEqual([[1], [2], [3], [4]])
})

test('of very many some begin together, so that it does not take for ever', async () => {
  const rounds = await beginnings(1000, 100)
  expect(rounds[0]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
  expect(rounds.length).toBeLessThan(400)
  expect(rounds.flat()).toEqual(Array.from({ length: 1000 }, (_, place) => place + 1))
})

test('one alone begins at once, and is waited for by nobody', async () => {
  vi.useRealTimers()
  const { mayBegin, haveBegun } = createPace(100)
  await haveBegun()
  await mayBegin()
  await haveBegun()
})
