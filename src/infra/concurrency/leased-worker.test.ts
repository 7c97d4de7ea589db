import { pino } from 'pino'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { fixedClock } from '../clock.ts'
import { systemRandom } from '../random.ts'
import { type ActiveWork, createActiveWork } from './active-work.ts'
import { type LeasedWork, startLeasedWorker } from './leased-worker.ts'
import { createLeases } from './leases.ts'
import type { Wake } from './repeat.ts'

/** The rows that processes share, each with its holder, the end of its lease and its runs. */
type Row = { holder: string; until: number; runs: string[] }

const clock = fixedClock(1_700_000_000_000)
const logger = pino({ level: 'silent' })
let rows: Map<string, Row>
let stopping: AbortController
let stops: (() => Promise<void>)[]
let wake: () => void
beforeEach(() => {
  vi.useFakeTimers()
  rows = new Map()
  stopping = new AbortController()
  stops = []
})
afterEach(async () => {
  await Promise.all(stops.map((stop) => stop()))
  vi.useRealTimers()
})

const queue = (...names: string[]) => {
  for (const name of names) rows.set(name, { holder: '', until: 0, runs: [] })
}

/** A process that performs `work` on rows. */
function startProcess(name: string, work: () => Promise<void>, options: Partial<LeasedWork> = {}) {
  const leases = createLeases({ clock, random: { ...systemRandom, token: () => name } }, 6000)
  const active: ActiveWork<string, undefined> = createActiveWork()
  const own = () => [...rows.values()].filter(({ holder }) => holder === name)
  const worker = startLeasedWorker(
    { logger, stopping: stopping.signal },
    {
      failure: 'working failed',
      lookEvery: 1000,
      async look() {
        const { holder, now, until } = leases.next()
        for (const [key, row] of rows) {
          if (row.until > now || active.has(key)) continue
          Object.assign(row, { holder, until })
          active.begin(key, undefined, () => {
            row.runs.push(name)
            return work().then(() => void rows.delete(key))
          })
        }
      },
      renew: {
        leaseMs: leases.ms,
        async run() {
          for (const row of own()) row.until = leases.next().until
        },
      },
      active,
      async release() {
        for (const row of own()) Object.assign(row, { holder: '', until: 0 })
      },
      ...options,
    },
  )
  stops.push(worker.stop)
  return worker
}

/** Advances timers and leases. */
async function pass(ms: number) {
  for (let left = ms; left > 0; left -= 100) {
    clock.advance(100)
    await vi.advanceTimersByTimeAsync(100)
  }
}

const never = () => new Promise<void>(() => {})

test('work is done once, by one of several processes', async () => {
  const runs = vi.fn(async () => {})
  queue('a', 'b')
  startProcess('first', runs)
  startProcess('second', runs)
  await pass(3000)
  expect(runs).toHaveBeenCalledTimes(2)
  expect(rows.size).toBe(0)
})

test('a lease is renewed for as long as the work takes', async () => {
  const gate = Promise.withResolvers<void>()
  queue('a')
  const { runs } = rows.get('a')!
  startProcess('first', () => gate.promise)
  startProcess('second', async () => {})
  await pass(30_000)
  expect(runs).toEqual(['first'])
  gate.resolve()
  await pass(100)
  expect(rows.size).toBe(0)
})

test('of a process that renews no more, another one takes the work over when the lease has ended', async () => {
  queue('a')
  const { runs } = rows.get('a')!
  startProcess('dead', never, { active: createActiveWork() })
  startProcess('alive', async () => {})
  await pass(5900)
  expect(runs).toEqual(['dead'])
  await pass(1200)
  expect(runs).toEqual(['dead', 'alive'])
})

test('new work makes the worker look at once, until it stops', async () => {
  const subscribe = vi.fn((worker: { now(): void }) => {
    wake = worker.now
    return unsubscribe
  })
  const unsubscribe = vi.fn()
  const work = vi.fn(async () => {})
  const worker = startProcess('first', work, { lookEvery: undefined, subscribe })
  queue('a')
  await pass(10_000)
  expect(work).toHaveBeenCalledTimes(0)
  wake()
  await pass(100)
  expect(work).toHaveBeenCalledTimes(1)
  await worker.stop()
  expect(unsubscribe).toHaveBeenCalledTimes(1)
})

test('the first look can request further ones', async () => {
  const look = vi.fn(async ({ within }: Wake) => {
    if (look.mock.calls.length < 3) within(100)
  })
  startProcess('first', never, { look, lookEvery: undefined })
  await pass(1000)
  expect(look).toHaveBeenCalledTimes(3)
})

test('a look that fails is repeated', async () => {
  const look = vi.fn().mockRejectedValueOnce(new Error('lost')).mockResolvedValue(undefined)
  startProcess('first', never, { look })
  await pass(2100)
  expect(look).toHaveBeenCalledTimes(3)
})

test('stopping waits for active work, then releases what is left, so that another process continues at once', async () => {
  const gate = Promise.withResolvers<void>()
  queue('a')
  const worker = startProcess('first', () => gate.promise)
  await pass(100)
  rows.set('left', { holder: 'first', until: clock.now() + 6000, runs: [] })
  let isStopped = false
  const stopped = worker.stop().then(() => (isStopped = true))
  await pass(1000)
  expect([isStopped, rows.get('left')!.holder]).toEqual([false, 'first'])
  gate.resolve()
  await stopped
  expect(rows.get('left')).toEqual({ holder: '', until: 0, runs: [] })
})
