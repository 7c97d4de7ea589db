import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type Loop, type LoopOptions, repeat } from './repeat.ts'

let loops: Loop[]
let lines: { level: number; msg: string }[]
let stopping: AbortController
beforeEach(() => {
  vi.useFakeTimers()
  loops = []
  lines = []
  stopping = new AbortController()
})
afterEach(async () => {
  await Promise.all(loops.map((loop) => loop.stop()))
  vi.useRealTimers()
})

function start(work: () => Promise<unknown>, options: Partial<LoopOptions> = {}): Loop {
  const logger = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const loop = repeat({ logger, stopping: stopping.signal }, { failure: 'counting failed', ...options }, work)
  loops.push(loop)
  return loop
}

/** Work that ends on demand. */
function createGatedWork() {
  const runs: (() => void)[] = []
  const work = () => new Promise<void>((resolve) => void runs.push(resolve))
  return { runs, work }
}

test('the work runs at once and then at intervals, counted from the end of a run', async () => {
  const { runs, work } = createGatedWork()
  start(work, { every: 1000 })
  expect(runs).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(5000)
  expect(runs).toHaveLength(1)
  runs[0]!()
  await vi.advanceTimersByTimeAsync(999)
  expect(runs).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(runs).toHaveLength(2)
  runs[1]!()
})

test('the first run can be later', async () => {
  const work = vi.fn(async () => {})
  start(work, { every: 1000, first: 300 })
  await vi.advanceTimersByTimeAsync(299)
  expect(work).toHaveBeenCalledTimes(0)
  await vi.advanceTimersByTimeAsync(1)
  expect(work).toHaveBeenCalledTimes(1)
})

test('calls while the work runs make it run once more, after it has ended', async () => {
  const { runs, work } = createGatedWork()
  const loop = start(work)
  loop.now()
  loop.now()
  expect(runs).toHaveLength(1)
  runs[0]!()
  await vi.advanceTimersByTimeAsync(0)
  expect(runs).toHaveLength(2)
  runs[1]!()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(runs).toHaveLength(2)
})

test('of several delays the shortest counts, and a run in the meantime makes up for all', async () => {
  const work = vi.fn(async () => {})
  const loop = start(work, { first: 10_000 })
  loop.within(500)
  loop.within(200)
  loop.within(800)
  await vi.advanceTimersByTimeAsync(200)
  expect(work).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(20_000)
  expect(work).toHaveBeenCalledTimes(1)
})

test('a delay that ends while the work runs is not lost', async () => {
  const { runs, work } = createGatedWork()
  const loop = start(work)
  loop.within(100)
  await vi.advanceTimersByTimeAsync(100)
  runs[0]!()
  await vi.advanceTimersByTimeAsync(0)
  expect(runs).toHaveLength(2)
  runs[1]!()
})

test('a failure is logged, and the loop goes on', async () => {
  const work = vi.fn(() => Promise.reject(new Error('lost')))
  start(work, { every: 1000, level: 'error' })
  await vi.advanceTimersByTimeAsync(1000)
  expect(work).toHaveBeenCalledTimes(2)
  expect(lines.map(({ level, msg }) => [level, msg])).toEqual([
    [50, 'counting failed'],
    [50, 'counting failed'],
  ])
})

test('after a failure the work can run earlier, even if it is not repeated otherwise', async () => {
  const work = vi.fn().mockRejectedValueOnce(new Error('lost')).mockResolvedValue(undefined)
  start(work, { retry: 100 })
  await vi.advanceTimersByTimeAsync(100)
  expect(work).toHaveBeenCalledTimes(2)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(work).toHaveBeenCalledTimes(2)
})

test('stop waits for the run, and nothing runs afterwards', async () => {
  const { runs, work } = createGatedWork()
  const loop = start(work, { every: 1000 })
  loop.now()
  let isStopped = false
  const stopped = loop.stop().then(() => (isStopped = true))
  await vi.advanceTimersByTimeAsync(0)
  expect(isStopped).toBe(false)
  runs[0]!()
  await stopped
  loop.now()
  loop.within(1)
  await vi.advanceTimersByTimeAsync(10_000)
  expect(runs).toHaveLength(1)
})

test('nothing runs once the server stops', async () => {
  const work = vi.fn(async () => {})
  const loop = start(work, { every: 1000 })
  await vi.advanceTimersByTimeAsync(0)
  stopping.abort()
  loop.now()
  await vi.advanceTimersByTimeAsync(10_000)
  expect(work).toHaveBeenCalledTimes(1)
})
