import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import type { Database } from '../../storage/engine/database.ts'
import { enqueueJob, isJobPending } from '../../storage/jobs/jobs.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import { fixedClock } from '../clock.ts'
import { systemRandom } from '../random.ts'
import { createJobRunner, type JobHandlers, type JobRunner } from './job-runner.ts'

let database: Database
let clock: ReturnType<typeof fixedClock>
let runners: JobRunner[]
let stopping: AbortController
beforeEach(async () => {
  database = await createTestDatabase()
  clock = fixedClock(1_700_000_000_000)
  runners = []
  stopping = new AbortController()
})
afterEach(async () => {
  stopping.abort()
  await Promise.all(runners.map((runner) => runner.stop()))
  await database.close()
})

function startRunner(handlers: JobHandlers, signal = stopping.signal, options = {}): JobRunner {
  const logger = pino({ level: 'silent' })
  const runner = createJobRunner({ database, clock, random: systemRandom, logger, stopping: signal })
  runner.start(handlers, options)
  runners.push(runner)
  return runner
}

const enqueue = (key: string, payload = 1) =>
  database.write((tx) => enqueueJob(tx, { kind: 'count', key, payload, now: clock.now() }))

/** A promise and its resolver. */
const gate = () => Promise.withResolvers<void>()

test('a job runs once, in one of several processes, and is gone', async () => {
  const done: unknown[] = []
  const runner = [1, 2, 3].map(() => startRunner({ count: async (payload) => void done.push(payload) }))
  const job = await enqueue('a', 7)
  await Promise.all(runner.map((each) => each.attend(job)))
  expect(done).toEqual([7])
  expect(await isJobPending(database, job)).toBe(false)
})

test('a runner of only the jobs that it is told of leaves others alone, and tries its own again', async () => {
  const tries: unknown[] = []
  const handlers: JobHandlers = {
    async count(payload) {
      tries.push(payload)
      if (tries.length === 1) throw new Error('not yet')
    },
  }
  const runner = startRunner(handlers, stopping.signal, { onlyBegun: true })
  const other = await enqueue('other', 1)
  const job = await enqueue('own', 2)
  runner.begin(job)
  await pollUntil('it is done', async () => {
    clock.advance(1000)
    return !(await isJobPending(database, job))
  })
  expect(tries).toEqual([2, 2])
  expect(await isJobPending(database, other)).toBe(true)
})

test('a job that fails is tried again after a rest', async () => {
  let tries = 0
  const runner = startRunner({
    count: async () => {
      if (++tries === 1) throw new Error('not yet')
    },
  })
  const job = await enqueue('a')
  await pollUntil('it is tried', () => runner.attend(job).then(() => tries === 1))
  expect(await isJobPending(database, job)).toBe(true)
  clock.advance(2000)
  await pollUntil('it is done', async () => !(await isJobPending(database, job)))
  expect(tries).toBe(2)
})

test('a job that is asked for while it runs runs once more, with what was asked last', async () => {
  const done: unknown[] = []
  const { promise: mayEnd, resolve: end } = gate()
  const runner = startRunner({
    count: async (payload) => {
      done.push(payload)
      await mayEnd
    },
  })
  const job = await enqueue('a', 1)
  const attending = runner.attend(job)
  await pollUntil('it runs', () => done.length === 1)
  expect(await enqueue('a', 2)).toBe(job)
  expect(await enqueue('a', 3)).toBe(job)
  end()
  await attending
  await pollUntil('it is done', async () => !(await isJobPending(database, job)))
  expect(done).toEqual([1, 3])
})

test('of a process that died, another one goes on when the lease has ended', async () => {
  const { promise: never } = gate()
  const dead = startRunner({ count: () => never })
  const job = await enqueue('a')
  await dead.attend(job)
  const done: unknown[] = []
  const alive = startRunner({ count: async (payload) => void done.push(payload) })
  await alive.attend(job)
  expect(done).toEqual([])
  // The dead runner no longer renews its leases.
  runners = runners.filter((runner) => runner !== dead)
  void dead.stop()
  clock.advance(10_000)
  await alive.attend(job)
  expect(done).toEqual([1])
})

test('when the server stops, a job goes to another process at once', async () => {
  const leaving = new AbortController()
  let runs = 0
  const untilStopped = () => {
    runs++
    return new Promise<void>((_, reject) => leaving.signal.addEventListener('abort', reject))
  }
  const first = startRunner({ count: untilStopped }, leaving.signal)
  const job = await enqueue('a')
  const attending = first.attend(job)
  await pollUntil('it runs', () => runs === 1)
  leaving.abort()
  await Promise.all([attending, first.stop()])
  const done: unknown[] = []
  await startRunner({ count: async (payload) => void done.push(payload) }).attend(job)
  expect(done).toEqual([1])
})

test('of many jobs that are begun together when there is capacity, four run at once; others do not wait for them', async () => {
  const { promise: opened, resolve: open } = gate()
  let running = 0
  let most = 0
  const done: unknown[] = []
  const handlers: JobHandlers = {
    async count(payload) {
      most = Math.max(most, ++running)
      if (payload !== 'short') await opened
      running--
      done.push(payload)
    },
  }
  const runner = startRunner(handlers)
  const long = await Promise.all(Array.from({ length: 10 }, (_, number) => enqueue(`long ${number}`, number)))
  for (const job of long) runner.begin(job, { whenFree: true })
  await pollUntil('the first run', () => running === 4)
  const short = await database.write((tx) =>
    enqueueJob(tx, { kind: 'count', key: 'x', payload: 'short', now: clock.now() }),
  )
  runner.begin(short)
  await pollUntil('the other has run', () => done.length === 1)
  expect(done).toEqual(['short'])
  expect(most).toBe(5)
  open()
  await pollUntil('all have run', () => done.length === 11)
  expect(most).toBe(5)
})
