import { monitorEventLoopDelay } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** The metrics of one server, for Prometheus. Each server has its own registry, so that tests can run several. */
export type Metrics = ReturnType<typeof createMetrics>

/** Open and idle connections, and waiting callers. */
type PoolStatus = { total: number; idle: number; waiting: number }

/** Hits and misses by cache, counted by the caches. */
type CacheCounts = Readonly<Record<string, { hits: number; misses: number }>>

/** The outbox: events, EDUs, servers that do not respond, and those of them that need a catch-up. */
type OutboxCounts = { events: number; edus: number; failing: number; lagging: number }

const REQUEST_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]
const NANOSECONDS = 1e9
const MICROSECONDS = 1e6

/** Creates the metrics; `close` stops watching the event loop. */
export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  const close = watchProcess(registers)
  return {
    registry,
    /** Duration of requests, by route (its pattern, never the path), method and status. */
    requestSeconds: new Histogram({
      name: 'hearth_http_request_duration_seconds',
      help: 'Time to answer requests.',
      labelNames: ['route', 'method', 'status'],
      buckets: REQUEST_SECONDS,
      registers,
    }),
    /** Bytes of received bodies, by route. */
    requestBytes: counter(registers, 'hearth_http_request_bytes_total', 'Bytes of bodies received.', ['route']),
    /** Bytes of sent bodies, by route. */
    responseBytes: counter(registers, 'hearth_http_response_bytes_total', 'Bytes of bodies sent.', ['route']),
    /** Waiting sync requests. */
    syncWaiters: new Gauge({ name: 'hearth_sync_waiters', help: 'Waiting sync requests.', registers }),
    ...federationMetrics(registers),
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
    /** The status of a database pool, read when the metrics are collected. */
    watchPool: (read: () => PoolStatus) => watchPool(registers, read),
    close,
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
      buckets: REQUEST_SECONDS,
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
  const loop = monitorEventLoopDelay({ resolution: 10 })
  loop.enable()
  new Gauge({
    name: 'hearth_event_loop_delay_seconds',
    help: 'Event loop delay since the metrics were last collected.',
    labelNames: ['quantile'],
    registers,
    collect() {
      for (const percent of [50, 99, 100]) this.set({ quantile: percent / 100 }, loop.percentile(percent) / NANOSECONDS)
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
  return () => loop.disable()
}
