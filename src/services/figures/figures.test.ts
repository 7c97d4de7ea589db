import { sql } from 'kysely'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createMetrics, type Metrics } from '../../infra/metrics.ts'
import { systemRandom } from '../../infra/random.ts'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { ALICE, BOB, createReadingRoom, PEOPLE } from '../../testing/reading-room.ts'
import { createCollection } from './collect.ts'
import { type FigureQuery, readFigures } from './read-figures.ts'
import { OTHER_PROCESSES } from './roll-up.ts'
import { readStatistics } from './statistics.ts'
import { keepUpFigures } from './upkeep.ts'

let app: TestApp
let metrics: Metrics[]
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())
beforeEach(async () => {
  metrics = []
  await sql`truncate figures, figure_processes`.execute(app.database.sql)
  await sql`update figure_upkeep set due_ts = 0, slow_due_ts = 0, done = '{}'`.execute(app.database.sql)
  // To the start of a day.
  app.clock.advance(86_400_000 - (app.clock.now() % 86_400_000))
})
afterEach(() => {
  for (const each of metrics) each.close()
})

/** One more process on the database. */
function process() {
  const own = createMetrics()
  metrics.push(own)
  const collection = createCollection({ ...app, metrics: own, random: systemRandom })
  const request = (route: string, seconds = 0.02, peer?: string) =>
    own.recorder.request({ route, client: 'Element X', peer, seconds, received: 100, sent: 1000 })
  return { ...collection, request, recorder: own.recorder }
}

type Process = ReturnType<typeof process>

/** Lets ten seconds pass. */
async function step(...processes: Process[]): Promise<void> {
  app.clock.advance(10_000)
  for (const each of processes) await each.store()
}

const read = (query: Partial<FigureQuery> = {}) => {
  const now = app.clock.now()
  return readFigures(app, { of: 'load', from: now - 600_000, to: now, step: 10, ...query })
}

async function lineOf(name: string, query: Partial<FigureQuery> = {}, key: string | null = null) {
  const { series } = await read(query)
  return series.find((line) => line.name === name && line.process === null && line.key === key)?.values
}

const rows = async () =>
  (
    await sql<{ resolution: number; count: number }>`select resolution, count(*)::int as count from figures
      where process > 0 group by resolution order by resolution`.execute(app.database.sql)
  ).rows.map(({ resolution, count }) => [resolution, count])

test('a step has the requests, bytes and durations of its ten seconds', async () => {
  const one = process()
  for (let n = 0; n < 20; n++) one.request('/sync', 0.02)
  await step(one)
  one.request('/send', 0.2)
  await step(one)
  expect((await lineOf('requests'))?.slice(-3)).toEqual([null, 2, 0.1])
  expect((await lineOf('bytes_sent'))?.slice(-2)).toEqual([2000, 100])
  expect((await lineOf('request_p50'))?.at(-2)).toBeCloseTo(0.0175)
  expect((await lineOf('requests', { of: 'routes' }, '/sync'))?.slice(-2)).toEqual([2, 0])
  expect((await lineOf('requests', { of: 'routes' }, '/send'))?.slice(-2)).toEqual([0, 0.1])
  expect((await lineOf('requests', { of: 'clients' }, 'Element X'))?.slice(-2)).toEqual([2, 0.1])
  expect((await lineOf('memory_bytes'))?.at(-1)).toBeGreaterThan(1e6)
})

test('what comes after a step is stored belongs to the next one', async () => {
  const one = process()
  await step(one)
  one.request('/sync')
  await one.store()
  expect((await lineOf('requests'))?.at(-1)).toBe(0)
  await step(one)
  expect((await lineOf('requests'))?.at(-1)).toBe(0.1)
})

test('the sum is that of the processes', async () => {
  const [one, other] = [process(), process()]
  one.request('/sync')
  other.request('/sync')
  other.request('/send')
  await step(one, other)
  const { series, processes } = await read({ eachProcess: true })
  const requests = series.filter(({ name }) => name === 'requests')
  expect(requests.map(({ process, values }) => [process, values.at(-1)])).toEqual([
    [null, 0.3],
    [1, 0.1],
    [2, 0.2],
  ])
  const memory = series.filter(({ name }) => name === 'memory_bytes').map(({ values }) => values.at(-1)!)
  expect(memory[0]).toBe(memory[1]! + memory[2]!)
  expect(processes.map(({ process, is_alive }) => [process, is_alive])).toEqual([
    [1, true],
    [2, true],
  ])
})

test('figures go into longer steps, and old ones are deleted', async () => {
  const one = process()
  for (let minute = 0; minute < 2 * 60 + 1; minute++) {
    for (let n = 0; n < 6; n++) one.request('/sync')
    app.clock.advance(50_000)
    await step(one)
    await keepUpFigures(app)
  }
  expect(await rows()).toEqual([
    [10, 60],
    [60, 120],
    [600, 12],
    [3600, 2],
  ])
  const from = app.clock.now() - 2 * 3_600_000
  expect(await lineOf('requests', { from, step: 3600 })).toEqual([0.1, 0.1, 0.1])
  expect(await lineOf('requests', { of: 'routes', from, step: 600 }, '/sync')).toEqual(Array(13).fill(0.1))
})

test('upkeep that was not done for long is done in parts, and nothing is lost', async () => {
  const one = process()
  for (let minute = 0; minute < 40; minute++) {
    for (let n = 0; n < 6; n++) one.request('/sync')
    app.clock.advance(50_000)
    await step(one)
  }
  const total = async () => {
    const values = (await lineOf('requests', { from: app.clock.now() - 3600_000, step: 60 })) ?? []
    return Math.round(values.reduce<number>((sum, value) => sum + (value ?? 0), 0) * 60)
  }
  expect(await total()).toBe(240)
  for (let n = 0; n < 3; n++) {
    app.clock.advance(60_000)
    await keepUpFigures(app)
    expect(await total()).toBe(240)
  }
  expect((await rows()).find(([resolution]) => resolution === 60)?.[1]).toBe(30)
})

test('only one process keeps the figures up, once a minute', async () => {
  await Promise.all([keepUpFigures(app), keepUpFigures(app)])
  app.clock.advance(10_000)
  await keepUpFigures(app)
  const { rows: kept } = await sql`select 1 from figures where process = 0`.execute(app.database.sql)
  expect(kept).toHaveLength(1)
})

test('a clock that was a year ahead stops neither the figures nor their upkeep', async () => {
  const one = process()
  await step(one)
  app.clock.advance(365 * 86_400_000)
  await step(one)
  await keepUpFigures(app)
  app.clock.advance(-365 * 86_400_000)
  for (let minute = 0; minute < 4; minute++) {
    one.request('/sync')
    app.clock.advance(50_000)
    await step(one)
    await keepUpFigures(app)
  }
  const values = (await lineOf('requests', { from: app.clock.now() - 240_000, step: 60 })) ?? []
  expect(values.filter((value) => value !== null && value > 0)).toHaveLength(4)
  const { rows: kept } = await sql`select 1 from figures where resolution = 10 and process = 0
    and step_ts < ${app.clock.now()}::bigint`.execute(app.database.sql)
  expect(kept).toHaveLength(4)
})

test('routes, servers and processes beyond the limits are summed up', async () => {
  const processes = Array.from({ length: 20 }, process)
  for (const [n, each] of processes.entries())
    for (let server = 0; server < 300; server++) each.request(`/route${server}`, 0.01, `s${server}.p${n}.example`)
  await step(...processes)
  app.clock.advance(180_000)
  await keepUpFigures(app)
  const { rows: kept } = await sql<{ process: number; load: string; routes: string; peers: string }>`
    select * from figures where resolution = 60 order by process`.execute(app.database.sql)
  expect(kept.map((row) => row.process)).toEqual(Array.from({ length: OTHER_PROCESSES }, (_, n) => n + 1))
  for (const row of kept) {
    expect(Object.keys(JSON.parse(row.routes)).length).toBeLessThanOrEqual(25)
    expect(Object.keys(JSON.parse(row.peers)).length).toBeLessThanOrEqual(21)
  }
  expect(kept.reduce((sum, row) => sum + (JSON.parse(row.load).requests[0] ?? 0), 0)).toBe(6000)
})

test('numbers of processes do not accumulate', async () => {
  for (let run = 0; run < 5; run++) {
    const one = process()
    one.request('/sync')
    await step(one)
    await one.store(true)
    app.clock.advance(10_000)
  }
  const dying = process()
  await step(dying)
  app.clock.advance(60_001)
  await step(process())
  expect((await read()).processes).toHaveLength(1)
})

test('a process that was paused beyond its lease goes on under another number', async () => {
  const [paused, other] = [process(), process()]
  await step(paused)
  app.clock.advance(60_001)
  await step(other)
  paused.request('/sync')
  await step(paused, other)
  const { series } = await read({ eachProcess: true })
  const lines = series.filter(({ name, process }) => name === 'requests' && process !== null)
  expect(lines.map(({ process, values }) => [process, values.at(-1)])).toEqual([
    [1, 0],
    [2, 0.1],
  ])
})

test('steps wait while the database cannot be reached', async () => {
  const one = process()
  await step(one)
  const { writeLazily } = app.database
  app.database.writeLazily = () => Promise.reject(new Error('down'))
  one.request('/sync')
  await expect(step(one)).rejects.toThrow('down')
  app.database.writeLazily = writeLazily
  await step(one)
  expect((await lineOf('requests'))?.slice(-2)).toEqual([0.1, 0])
})

test('the present step is stored when the process stops', async () => {
  const one = process()
  await step(one)
  one.request('/sync')
  app.clock.advance(2000)
  await one.store(true)
  app.clock.advance(8000)
  expect((await lineOf('requests'))?.at(-1)).toBe(0.1)
})

test('the server as a whole has queues, sizes and users', async () => {
  await keepUpFigures(app)
  const { series } = await read({ from: app.clock.now() - 60_000 })
  const last = Object.fromEntries(series.map(({ name, values }) => [name, values.at(-1)]))
  expect(last).toMatchObject({ outbox_events: 0, inbox_events: 0, queue_age: 0, daily_active_users: 0, media_bytes: 0 })
  expect(last.database_bytes).toBeGreaterThan(1e6)
})

test('messages and joins are counted once they are stored', async () => {
  const one = process()
  metrics[0]!.addToFigures(() => app.database.stored)
  await step(one)
  const room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  for (let n = 0; n < 5; n++) await room.message(ALICE, 'hello')
  await step(one)
  const last = async (name: string) => Math.round((await lineOf(name))!.at(-1)! * 10)
  expect([await last('messages'), await last('messages_sent')]).toEqual([5, 5])
  expect(await last('joins')).toBe(2)
  await room.member(BOB, 'leave')
  await step(one)
  expect([await last('messages'), await last('joins')]).toEqual([0, 0])
})

test('statistics have messages, joins, users and registrations by day', async () => {
  const one = process()
  metrics[0]!.addToFigures(() => app.database.stored)
  await step(one)
  await sql`truncate figures`.execute(app.database.sql)
  const { stored } = app.database
  const before = app.clock.now() - 86_400_000
  for (const [day, count] of [5, 7].entries()) {
    stored.messages += count
    await step(one)
    app.clock.advance(120_000)
    await keepUpFigures(app)
    await sql`insert into users (user_id, created_ts) values (${`@new${day}:x`}, ${app.clock.now()}::bigint)`.execute(
      app.database.sql,
    )
    await sql`insert into devices (user_id, device_id, created_ts, last_seen_ts)
      values (${`@new${day}:x`}, 'D', 0, ${app.clock.now()}::bigint)`.execute(app.database.sql)
    app.clock.advance(600_000)
    await keepUpFigures(app)
    if (day === 0) app.clock.advance(86_400_000 - (app.clock.now() % 86_400_000))
  }
  const { days, tables } = await readStatistics(app, 3)
  expect(
    days.map((day) => [day.messages, day.registrations, day.daily_active_users, day.monthly_active_users]),
  ).toEqual([
    [null, 0, null, null],
    [5, 1, 1, 1],
    [7, 1, 1, 2],
  ])
  expect(days[1]!.date).toBe(new Date(before + 86_400_000).toISOString().slice(0, 10))
  expect(tables.find(({ table }) => table === 'events')?.bytes).toBeGreaterThan(0)
})
