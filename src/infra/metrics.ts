import type { IncomingHttpHeaders } from 'node:http'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import { DURATION_BOUNDS } from '../core/figures/durations.ts'
import type { LoadName } from '../core/figures/load.ts'
import { createClientKinds } from './figures/client-kind.ts'
import { exportFigures, exportServerFigures } from './figures/exported-figures.ts'
import { readMachineFigures } from './figures/machine-figures.ts'
import { watchEventLoop, watchProcessFigures } from './figures/process-figures.ts'
import { createRecorder, type Recorded, type Recorder } from './figures/recorder.ts'

/** The metrics of one server, for Prometheus. Each server has its own registry, so that tests can run several. */
export type Metrics = ReturnType<typeof createMetrics>

/** Open and idle connections, and waiting callers. */
type PoolStatus = { total: number; idle: number; waiting: number }

/** Hits and misses by cache, counted by the caches. */
type CacheCounts = Readonly<Record<string, { hits: number; misses: number }>>

/** The outbox: events, EDUs, servers that do not respond, and those of them that need a catch-up. */
type OutboxCounts = { events: number; edus: number; failing: number; lagging: number }

const MICROSECONDS = 1e6

/**
 * Creates the metrics; `close` stops watching the process. `figures`: whether to collect figures over time.
 * `folders`: those with data, whose disks are watched.
 */
export function createMetrics({
  figures = true,
  folders = [],
}: {
  figures?: boolean
  folders?: readonly string[]
} = {}) {
  const registry = new Registry()
  const registers = [registry]
  const close = watchProcess(registers)
  const collected = collectFigures(registers, { figures, folders })
  const federation = federationMetrics(registers)
  collected.addToFigures(() => countTransactions(federation.federationTransactions))
  return {
    registry,
    ...requestMetrics(registers, collected.recorder),
    ...collected,
    ...federation,
    /** Transactions to application services, by their id; result is sent or failed. */
    appserviceTransactions: counter(
      registers,
      'hearth_appservice_transactions_total',
      'Transactions sent to application services.',
      ['appservice', 'result'],
    ),
    /** Exceeded database time limits; what is statement, lock or idleTransaction. */
    databaseTimeouts: counter(
      registers,
      'hearth_database_timeouts_total',
      'Statements, waits for locks and idle transactions beyond their time limits.',
      ['what'],
    ),
    /** Uncaught exceptions. */
    unexpectedExceptions: counter(
      registers,
      'hearth_unexpected_exceptions_total',
      'Uncaught exceptions; the process stops after the first.',
      [],
    ),
    /** Hits and misses of caches, by cache; read when the metrics are collected. */
    watchCaches: (counts: CacheCounts) => watchCaches(registers, counts),
    /** Figures of the server as a whole, read when the metrics are collected. */
    watchServer: (read: Parameters<typeof exportServerFigures>[1]) => exportServerFigures(registers, read),
    /** The status of a database pool, read when the metrics are collected. */
    watchPool: (read: () => PoolStatus) => watchPool(registers, read),
    close() {
      close()
      collected.close()
    },
  }
}

/** An answered request. `status` 499: the client has left before. `peer`: the server that made it. */
type AnsweredRequest = {
  route: string
  method: string
  status: number
  seconds: number
  received: number
  sent: number
  client: string
  peer: string | undefined
}

function requestMetrics(registers: Registry[], recorder: Recorder) {
  /** By route (its pattern, never the path), method and status. */
  const requestSeconds = new Histogram({
    name: 'hearth_http_request_duration_seconds',
    help: 'Time to answer requests.',
    labelNames: ['route', 'method', 'status'],
    buckets: DURATION_BOUNDS,
    registers,
  })
  const received = counter(registers, 'hearth_http_request_bytes_total', 'Bytes received, with headers.', ['route'])
  const sent = counter(registers, 'hearth_http_response_bytes_total', 'Bytes sent, with headers.', ['route'])
  return {
    countRequest(request: AnsweredRequest): void {
      const { route, method, status } = request
      requestSeconds.observe({ route, method, status }, request.seconds)
      received.inc({ route }, request.received)
      sent.inc({ route }, request.sent)
      recorder.request(request)
    },
    /** Bytes of a connection that is no request, such as a WebSocket. */
    countBytes(traffic: Pick<AnsweredRequest, 'route' | 'client' | 'received' | 'sent'>): void {
      const { route } = traffic
      received.inc({ route }, traffic.received)
      sent.inc({ route }, traffic.sent)
      recorder.bytes(traffic)
    },
  }
}

/** Figures over time: they are taken once per step, stored in the database, and shown to Prometheus. */
function collectFigures(registers: Registry[], { figures, folders }: { figures: boolean; folders: readonly string[] }) {
  const recorder = createRecorder(figures)
  const watched = watchProcessFigures()
  const toPrometheus = exportFigures(registers)
  const readers: (() => StepValues | Promise<StepValues>)[] = []
  const syncWaiters = new Gauge({ name: 'hearth_sync_waiters', help: 'Waiting sync requests.', registers })
  let since = performance.now()
  return {
    recorder,
    /** Waiting sync requests. */
    syncWaiters,
    /** Finds the kind of a client by the headers of its request. */
    clientKind: createClientKinds() as (headers: IncomingHttpHeaders) => string,
    /** Adds counts, which only grow, to the figures. */
    addToFigures(read: () => StepValues | Promise<StepValues>): void {
      readers.push(increasesOf(read))
    },
    /** Adds values, as they are when the figures are taken. */
    measureForFigures(read: () => StepValues | Promise<StepValues>): void {
      readers.push(read)
    },
    /** Returns the figures since they were last taken. */
    async takeFigures(): Promise<Recorded> {
      const recorded = recorder.take()
      const now = performance.now()
      const seconds = Math.max(now - since, 1) / 1000
      since = now
      const waiting = (await syncWaiters.get()).values[0]?.value ?? 0
      Object.assign(recorded.load.values, watched.read(), await readMachineFigures(folders), { waiting_syncs: waiting })
      for (const read of readers) Object.assign(recorded.load.values, await read())
      toPrometheus(recorded, seconds)
      return recorded
    },
    close: watched.close,
  }
}

async function countTransactions(transactions: Counter<'result'>): Promise<StepValues> {
  const { values } = await transactions.get()
  const of = (result: string) => values.find(({ labels }) => labels.result === result)?.value ?? 0
  return { transactions_sent: of('sent'), transactions_failed: of('failed') }
}

/** Values of a step by name. */
type StepValues = Partial<Record<LoadName, number>>

/** Returns a function that tells by how much counts have grown since it was last called. */
function increasesOf(read: () => StepValues | Promise<StepValues>): () => Promise<StepValues> {
  let before: StepValues = {}
  return async () => {
    const now = { ...(await read()) }
    const names = Object.keys(now) as LoadName[]
    const increases = Object.fromEntries(names.map((name) => [name, (now[name] ?? 0) - (before[name] ?? 0)]))
    before = now
    return increases
  }
}

function federationMetrics(registers: Registry[]) {
  return {
    /** Transactions to other servers; result is sent or failed. */
    federationTransactions: counter(
      registers,
      'hearth_federation_transactions_total',
      'Transactions sent to other servers.',
      ['result'],
    ),
    /** Their contents; kind is pdu or edu. */
    federationSent: counter(registers, 'hearth_federation_sent_total', 'Events and EDUs sent to other servers.', [
      'kind',
    ]),
    /** How long other servers took to respond to them. */
    federationSeconds: new Histogram({
      name: 'hearth_federation_transaction_duration_seconds',
      help: 'Time until other servers have accepted a transaction.',
      buckets: DURATION_BOUNDS,
      registers,
    }),
    /** The outbox, read when the metrics are collected. */
    watchFederation: (read: () => Promise<OutboxCounts>) => watchFederation(registers, read),
  }
}

function counter<Label extends string>(registers: Registry[], name: string, help: string, labelNames: Label[]) {
  return new Counter({ name, help, labelNames, registers })
}

function watchPool(registers: Registry[], read: () => PoolStatus): void {
  new Gauge({
    name: 'hearth_database_pool',
    help: 'Connections to the database (total, idle), and callers waiting for one.',
    labelNames: ['state'],
    registers,
    collect() {
      for (const [state, value] of Object.entries(read())) this.set({ state }, value)
    },
  })
}

function watchFederation(registers: Registry[], read: () => Promise<OutboxCounts>): void {
  new Gauge({
    name: 'hearth_federation_waiting',
    help: 'Outbox of remote servers (events, edus), and servers that do not respond (failing; lagging: in need of a catch-up).',
    labelNames: ['what'],
    registers,
    async collect() {
      // The other metrics are needed most when the database is down.
      const counts = await read().catch(() => ({}))
      for (const [what, value] of Object.entries(counts)) this.set({ what }, value)
    },
  })
}

function watchCaches(registers: Registry[], counts: CacheCounts): void {
  new Counter({
    name: 'hearth_cache_lookups_total',
    help: 'Look-ups in caches.',
    labelNames: ['cache', 'result'],
    registers,
    collect() {
      this.reset()
      for (const [cache, { hits, misses }] of Object.entries(counts)) {
        this.inc({ cache, result: 'hit' }, hits)
        this.inc({ cache, result: 'miss' }, misses)
      }
    },
  })
}

function watchProcess(registers: Registry[]): () => void {
  const loop = watchEventLoop(10)
  new Gauge({
    name: 'hearth_event_loop_delay_seconds',
    help: 'Event loop delay since the metrics were last collected.',
    labelNames: ['quantile'],
    registers,
    collect() {
      for (const percent of [50, 99, 100]) this.set({ quantile: percent / 100 }, loop.delay(percent))
      loop.reset()
    },
  })
  new Gauge({
    name: 'process_resident_memory_bytes',
    help: 'Memory of the process.',
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'CPU time of the process, in user and system mode.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.reset()
      this.inc((user + system) / MICROSECONDS)
    },
  })
  return loop.close
}
