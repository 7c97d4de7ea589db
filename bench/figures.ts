import { sql } from 'kysely'
import { pino } from 'pino'
import { startHearth } from '../spec-tests/harness/hearth.ts'
import { defaultConfig } from '../src/config.ts'
import { fixedClock } from '../src/infra/clock.ts'
import { createClientKinds } from '../src/infra/figures/client-kind.ts'
import { createRecorder } from '../src/infra/figures/recorder.ts'
import { createMetrics, type Metrics } from '../src/infra/metrics.ts'
import { systemRandom } from '../src/infra/random.ts'
import { createCollection } from '../src/services/figures/collect.ts'
import { readFigures } from '../src/services/figures/read-figures.ts'
import { keepUpFigures } from '../src/services/figures/upkeep.ts'
import type { Database } from '../src/storage/engine/database.ts'
import { migrate } from '../src/storage/engine/migrate.ts'
import { openDatabase } from '../src/storage/engine/open-database.ts'
import { startPostgres } from '../testing/postgres.ts'
import { percentile } from './measure.ts'
import { sends } from './scenarios.ts'

/**
 * Prints what collecting figures costs a sent event, by servers with and without it that take turns (`ROUNDS`), and by
 * running the counting alone; and how large a year of figures of three busy processes is: `node bench/figures.ts`, or
 * only one of them with `cost`, `counting` or `year`.
 */
const rounds = Number(process.env.ROUNDS ?? 3)
const events = Number(process.env.EVENTS ?? 4000)
const wanted = process.argv[2]

const HOUR = 3_600_000
const DAY = 24 * HOUR
/** A day of 2026 at midnight. */
const START = Date.UTC(2026, 0, 1)
const STATEMENTS_OF_AN_EVENT = 10

if (wanted === undefined || wanted === 'counting') printCounting()
if (wanted === undefined || wanted === 'cost') await printCost()
if (wanted === undefined || wanted === 'year') await printYear()

/** The counting of one request with its statements, alone. */
function printCounting(): void {
  const recorder = createRecorder(true)
  const kindOf = createClientKinds()
  const headers = { 'user-agent': 'Element X/25.10.1 (Google Pixel 8; Android 15; BP1A; Sdk 25.10.8)' }
  const count = (times: number) => {
    for (let n = 0; n < times; n++) {
      const request = { route: `/route${n % 40}`, seconds: 0.004, received: 900, sent: 300, peer: undefined }
      recorder.request({ ...request, client: kindOf(headers) })
      for (let statement = 0; statement < STATEMENTS_OF_AN_EVENT; statement++) {
        const started = performance.now()
        recorder.statement((performance.now() - started) / 1000)
        recorder.connection(0.0001, { used: 2, waiting: 0 })
      }
    }
  }
  count(100_000)
  const before = process.cpuUsage()
  count(500_000)
  const { user, system } = process.cpuUsage(before)
  console.log(
    `counting a request and ${STATEMENTS_OF_AN_EVENT} statements: ${((user + system) / 500_000).toFixed(2)} µs of CPU`,
  )
}

async function printCost(): Promise<void> {
  const cpu: Record<'on' | 'off', number[]> = { on: [], off: [] }
  for (let round = 0; round < rounds; round++) {
    for (const kind of round % 2 === 0 ? (['on', 'off'] as const) : (['off', 'on'] as const)) {
      const hearth = await startHearth({ config: { figures: { enabled: kind === 'on' } } })
      const [figure] = await sends({ url: hearth.url, pids: [hearth.pid] }, 16, events)
      cpu[kind].push(figure!.value)
      await hearth.dispose()
    }
  }
  for (const [kind, values] of Object.entries(cpu))
    console.log(
      `CPU per sent event, figures ${kind}: ${percentile(values, 0.5).toFixed(3)} ms (${values.map((value) => value.toFixed(3)).join(', ')})`,
    )
}

async function printYear(): Promise<void> {
  const postgres = await startPostgres()
  const url = await postgres.createDatabase()
  const database = await openDatabase({ url, folder: '', poolSize: 4, cacheBytes: 1e6, reportError: console.error })
  await migrate(database)
  const clock = fixedClock(START)
  const app = {
    ...{ database, clock, random: systemRandom, mailer: undefined, logger: pino({ level: 'silent' }) },
    ...{ config: defaultConfig({ server_name: 'localhost' }), serverName: 'localhost' as never },
    stopping: new AbortController().signal,
  }
  const processes = [1, 2, 3].map(() => {
    const metrics = createMetrics()
    return { metrics, ...createCollection({ ...app, metrics }) }
  })
  // Of each kind of step that is kept, all are there in the end.
  const phases = [
    [357 * DAY, HOUR],
    [7 * DAY, 600_000],
    [23 * HOUR, 60_000],
    [HOUR, 10_000],
  ] as const
  const storing: number[] = []
  for (const [length, step] of phases) {
    for (let at = 0; at < length; at += step) {
      clock.advance(step)
      for (const each of processes) {
        fill(each.metrics)
        const before = process.cpuUsage()
        await each.store()
        const { user, system } = process.cpuUsage(before)
        storing.push((user + system) / 1000)
      }
      await keepUpFigures(app)
    }
  }
  console.log(`storing a step: ${percentile(storing, 0.5).toFixed(2)} ms of CPU of the process`)
  await printSizes(database)
  await printReading(app)
  for (const { metrics } of processes) metrics.close()
  await database.close()
  await postgres.stop()
}

/** More routes, clients and peers than a step keeps. */
function fill({ recorder }: Metrics): void {
  for (let n = 0; n < 300; n++) {
    const seconds = 0.0008 * 1.04 ** n
    const traffic = { seconds, received: 400 + n * 7, sent: 3000 + n * 131 }
    recorder.request({
      ...{ route: `/_matrix/client/v3/rooms/:roomId/endpoint/${n % 60}`, client: `Client ${n % 16}` },
      ...{ peer: `matrix${n % 100}.homeserver.example.org`, ...traffic },
    })
    recorder.statement(seconds)
  }
}

async function printSizes(database: Database): Promise<void> {
  const { rows } = await sql<{ resolution: number; steps: number; bytes: number }>`select resolution,
      count(*)::int as steps, sum(pg_column_size(figures.*))::int as bytes
    from figures group by resolution order by resolution`.execute(database.sql)
  console.log('| step (s) | rows | bytes of a row, compressed | MiB |\n|---:|---:|---:|---:|')
  for (const { resolution, steps, bytes } of rows)
    console.log(`| ${resolution} | ${steps} | ${Math.round(bytes / steps)} | ${(bytes / 2 ** 20).toFixed(1)} |`)
  const total = await sql<{ bytes: number }>`select pg_total_relation_size('figures') as bytes`.execute(database.sql)
  console.log(`on disk, with indexes and free space: ${(total.rows[0]!.bytes / 2 ** 20).toFixed(1)} MiB`)
}

async function printReading(app: Parameters<typeof readFigures>[0]): Promise<void> {
  const now = app.clock.now()
  for (const [name, length, step] of [
    ['hour', HOUR, 60],
    ['day', DAY, 600],
    ['week', 7 * DAY, 3600],
    ['month', 30 * DAY, 14_400],
    ['year', 365 * DAY, 86_400],
  ] as const) {
    for (const what of ['load', 'routes'] as const) {
      const started = performance.now()
      await readFigures(app, { of: what, from: now - length, to: now, step, eachProcess: true })
      console.log(`reading ${what} of a ${name}: ${(performance.now() - started).toFixed(0)} ms`)
    }
  }
}
