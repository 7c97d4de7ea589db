import fc from 'fast-check'
import { expect, test } from 'vitest'
import { createLanes, type LaneLimits } from './lanes.ts'

/** Lanes whose work ends on demand; `begun`: the started works, by key, in order. */
function setUp(limits: LaneLimits) {
  const lanes = createLanes<string>(limits)
  const begun: string[] = []
  const ends: { key: string; end: () => void }[] = []
  const start = (key: string, signal?: AbortSignal) =>
    lanes(
      key,
      () => {
        begun.push(key)
        return new Promise<string>((resolve) => ends.push({ key, end: () => resolve(key) }))
      },
      signal,
    )
  const finish = async (key?: string) => {
    const place = key === undefined ? 0 : ends.findIndex((each) => each.key === key)
    ends.splice(place, 1)[0]!.end()
    await settled()
  }
  return { start, begun, finish, running: () => ends.length }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('so much of each key runs, so much waits, and what is beyond is turned away', async () => {
  const { start, begun, finish } = setUp({ each: 2, waiting: 1 })
  const first = start('a')
  start('a')
  start('a')
  expect(start('a')).toBeUndefined()
  start('b')
  await settled()
  expect(begun).toEqual(['a', 'a', 'b'])
  await finish('a')
  expect(await first).toBe('a')
  expect(begun).toEqual(['a', 'a', 'b', 'a'])
})

test('so much waits in all', async () => {
  const { start, finish } = setUp({ each: 1, waiting: 5, waitingInAll: 3 })
  for (const key of ['a', 'b', 'a', 'a', 'b']) expect(start(key)).toBeDefined()
  expect(['a', 'b', 'c'].map((key) => start(key) !== undefined)).toEqual([false, false, true])
  await settled()
  await finish('a')
  expect(start('b')).toBeDefined()
})

test('where all lanes together are full, the one goes on of which least runs', async () => {
  const { start, begun, finish } = setUp({ each: 3, waiting: 100, total: 4 })
  for (let i = 0; i < 50; i++) start('greedy')
  start('second')
  for (let i = 0; i < 50; i++) start('third')
  start('modest')
  await settled()
  expect(begun).toEqual(['greedy', 'greedy', 'greedy', 'second'])
  await finish('greedy')
  await finish('greedy')
  expect(begun.slice(4)).toEqual(['third', 'modest'])
})

test('an aborted caller leaves the queue, and takes no place', async () => {
  const { start, begun, finish } = setUp({ each: 1, waiting: 2 })
  start('a')
  const gone = new AbortController()
  const left = start('a', gone.signal)
  start('a')
  expect(start('a')).toBeUndefined()
  gone.abort(new Error('gone'))
  await expect(left).rejects.toThrow('gone')
  expect(start('a')).toBeDefined()
  await finish()
  await finish()
  await finish()
  expect(begun).toEqual(['a', 'a', 'a'])
})

test('work that fails makes place too', async () => {
  const lanes = createLanes<string>({ each: 1, waiting: 1 })
  await expect(lanes('a', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  await expect(
    lanes('a', () => {
      throw new Error('at once')
    }),
  ).rejects.toThrow('at once')
  expect(await lanes('a', async () => 1)).toBe(1)
})

test('under random load no limit is exceeded, and every admitted task runs', async () => {
  const step = fc.record({ key: fc.constantFrom('a', 'b', 'c'), ends: fc.nat(3), aborts: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const { start, begun, finish, running } = setUp({ each: 2, waiting: 3, total: 4 })
      let letIn = 0
      for (const { key, ends, aborts } of steps) {
        const leaving = new AbortController()
        const before = begun.length
        const work = start(key, leaving.signal)
        await settled()
        if (work) letIn++
        if (work && aborts && begun.length === before) {
          letIn--
          leaving.abort(new Error('gone'))
          await expect(work).rejects.toThrow('gone')
        }
        expect(running()).toBeLessThanOrEqual(4)
        for (let i = 0; i < ends && running() > 0; i++) await finish()
      }
      while (running() > 0) await finish()
      expect(begun.length).toBe(letIn)
    }),
    { numRuns: 200 },
  )
})
