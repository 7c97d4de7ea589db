import { type Load, type LoadName, noLoad } from '../core/figures/load.ts'
import { stepAt, stepMs, TIERS } from '../core/figures/tiers.ts'
import { createRecorder } from '../infra/figures/recorder.ts'
import { stepRow } from '../services/figures/step-texts.ts'
import { openDatabase } from '../storage/engine/open-database.ts'
import { insertFigures } from '../storage/figures/figure-steps.ts'
import type { FigureRow } from '../storage/schema/figures.ts'

/**
 * Fills the embedded database of a stopped server with invented figures of a day that ends now, for screenshots:
 * `node src/testing/make-figures.ts DATA_FOLDER`.
 */
const STEP = TIERS[0]!
const EVERY_MS = 600_000
const DAY_MS = 86_400_000
const MIB = 2 ** 20
const GIB = 2 ** 30

/** Requests per second at the busiest time, with their usual duration and size. */
const ROUTES = [
  ['/_matrix/client/v3/sync', 9, 0.012, 900, 5200],
  ['/_matrix/client/v3/rooms/:roomId/send/:eventType/:txnId', 1.4, 0.008, 700, 120],
  ['/_matrix/client/v3/rooms/:roomId/typing/:userId', 1.1, 0.003, 240, 60],
  ['/_matrix/client/v1/media/download/:serverName/:mediaId', 0.5, 0.02, 400, 180_000],
  ['/_matrix/federation/v1/send/:txnId', 2.2, 0.015, 2600, 90],
] as const
const CLIENTS = ['Element X', 'Element Web', 'Cinny', 'FluffyChat']
const PEERS = ['matrix.org', 'kde.org', 'tchncs.de']

await writeDay(process.argv[2]!)

async function writeDay(folder: string): Promise<void> {
  const database = await openDatabase({ folder, poolSize: 1, cacheBytes: MIB, reportError: console.error })
  const now = stepAt(STEP, Date.now())
  const rows: FigureRow[] = []
  for (let at = now - DAY_MS; at < now; at += EVERY_MS) rows.push(...rowsOf(at, (at - now + DAY_MS) / DAY_MS))
  await database.write((tx) => insertFigures(tx, rows))
  await database.close()
}

function about(value: number): number {
  return value * (0.85 + 0.3 * Math.random())
}

/** A short step with all that happened in ten minutes. `part`: of the day that has gone by. */
function rowsOf(at: number, part: number): FigureRow[] {
  // Few people write at night, and most in the evening.
  const hour = (at % DAY_MS) / DAY_MS
  const busy = about(0.12 + 0.5 * Math.sin(Math.PI * hour) ** 2 + 0.4 * Math.exp(-(((hour - 0.8) / 0.08) ** 2)))
  const seconds = EVERY_MS / 1000
  const { load, ...tables } = traffic(busy, seconds)
  const key = { resolution: STEP.resolution, step_ts: at - (at % stepMs(STEP)) }
  const server: Load = { ...noLoad(), values: valuesOfServer(busy, part) }
  Object.assign(load.values, valuesOfProcess(busy, seconds))
  return [stepRow({ load, ...tables }, { ...key, process: 1 }), stepRow({ load: server }, { ...key, process: 0 })]
}

function traffic(busy: number, seconds: number) {
  const recorder = createRecorder(true)
  let count = 0
  for (const [route, perSecond, duration, received, sent] of ROUTES) {
    for (let left = about(perSecond * busy * seconds); left > 0; left--) {
      const isPeer = route.includes('/federation/')
      const place = count++
      recorder.request({
        ...{ route, received: about(received), sent: about(sent) },
        client: isPeer ? 'Homeserver' : CLIENTS[place % CLIENTS.length]!,
        ...(isPeer && { peer: PEERS[place % PEERS.length] }),
        // Some take many times as long, more of them when the server is busy.
        seconds: (duration * (0.5 + busy)) / (1.02 - Math.random()),
      })
      for (let n = 0; n < 3; n++) recorder.statement((0.0006 * (0.6 + busy)) / (1.02 - Math.random()))
    }
  }
  return recorder.take()
}

function valuesOfProcess(busy: number, seconds: number): Partial<Record<LoadName, number>> {
  return {
    cpu_seconds: about(0.28 * busy + 0.02) * seconds,
    memory_bytes: (210 + 90 * busy) * MIB,
    machine_memory_bytes: 4 * GIB,
    machine_memory_used: (1.6 + 0.3 * busy) * GIB,
    event_loop_delay_p50: about(0.0011),
    event_loop_delay_p99: about(0.003 + 0.012 * busy),
    pool_used: Math.round(1 + 3 * busy),
    pool_waiting: busy > 0.9 ? 1 : 0,
    pool_taken: 1000,
    pool_wait_seconds: about(0.2 * busy),
    waiting_syncs: Math.round(18 + 60 * busy),
    transactions_sent: Math.round(1.2 * busy * seconds),
    transactions_failed: Math.round(0.02 * busy * seconds),
    disk_bytes: 80 * GIB,
    disk_used: 31 * GIB,
    messages: Math.round(2.6 * busy * seconds),
    messages_sent: Math.round(1.3 * busy * seconds),
    joins: Math.round(0.02 * busy * seconds),
  }
}

function valuesOfServer(busy: number, part: number): Partial<Record<LoadName, number>> {
  return {
    outbox_events: Math.round(about(14 * busy)),
    outbox_edus: Math.round(about(40 * busy)),
    inbox_events: Math.round(about(3 * busy)),
    push_queue: Math.round(about(2 * busy)),
    jobs_waiting: 0,
    queue_age: about(0.8 * busy),
    failing_servers: 3,
    known_servers: 212,
    database_bytes: (640 + 6 * part) * MIB,
    media_bytes: (2300 + 70 * part) * MIB,
    daily_active_users: Math.round(12 + 34 * part),
    monthly_active_users: 61,
  }
}
