import { Counter, Gauge, type Registry } from 'prom-client'
import { DURATION_BOUNDS } from '../../core/figures/durations.ts'
import type { Load, LoadName } from '../../core/figures/load.ts'
import { BUCKETS, largest, OTHERS, type TrafficTable } from '../../core/figures/traffic.ts'
import type { Recorded } from './recorder.ts'

const MOST_PEERS = 20

/** Returns a function that passes the figures of a step, and its length in seconds, to Prometheus. */
export function exportFigures(registers: Registry[]): (recorded: Recorded, seconds: number) => void {
  const exportClients = clientMetrics(registers)
  const exportPeers = peerMetrics(registers)
  const exportLoad = loadMetrics(registers)
  return ({ load, clients, peers }, seconds) => {
    exportClients(clients)
    exportPeers(peers, seconds)
    exportLoad(load)
  }
}

function clientMetrics(registers: Registry[]): (clients: TrafficTable) => void {
  const labelNames = ['client']
  const counters = [
    new Counter({ name: 'hearth_client_requests_total', help: 'Requests by kind of client.', labelNames, registers }),
    new Counter({
      name: 'hearth_client_request_seconds_total',
      help: 'Time of requests by kind of client, with that of waiting syncs.',
      labelNames,
      registers,
    }),
    new Counter({
      name: 'hearth_client_received_bytes_total',
      help: 'Bytes received by kind of client.',
      labelNames,
      registers,
    }),
    new Counter({
      name: 'hearth_client_sent_bytes_total',
      help: 'Bytes sent by kind of client.',
      labelNames,
      registers,
    }),
  ]
  return (clients) => {
    for (const [client, traffic] of clients)
      for (const [place, counter] of counters.entries()) counter.inc({ client }, traffic[place] ?? 0)
  }
}

/** Rates instead of counters, so that there are no time series for each server that was ever seen. */
function peerMetrics(registers: Registry[]): (peers: TrafficTable, seconds: number) => void {
  const gauge = new Gauge({
    name: 'hearth_federation_peer_bytes_per_second',
    help: 'Bytes exchanged with the servers that have most traffic, in the last ten seconds.',
    labelNames: ['peer', 'direction'],
    registers,
  })
  return (peers, seconds) => {
    gauge.reset()
    for (const [peer, traffic] of largest(peers, MOST_PEERS)) {
      const name = peer === OTHERS ? 'others' : peer
      gauge.set({ peer: name, direction: 'received' }, (traffic[2] ?? 0) / seconds)
      gauge.set({ peer: name, direction: 'sent' }, (traffic[3] ?? 0) / seconds)
    }
  }
}

/** Values of a step by their metrics; those of other steps are added, or replaced. */
const COUNTED: readonly (readonly [LoadName, string, string])[] = [
  ['pool_taken', 'hearth_database_pool_taken_total', 'Database connections taken from the pool.'],
  ['pool_wait_seconds', 'hearth_database_pool_wait_seconds_total', 'Time that callers waited for a connection.'],
  ['messages', 'hearth_messages_total', 'Stored messages of all servers.'],
  ['messages_sent', 'hearth_messages_sent_total', 'Stored messages of users of this server.'],
  ['joins', 'hearth_joins_total', 'Stored joins to rooms.'],
]
const MEASURED: readonly (readonly [LoadName, string, string])[] = [
  ['machine_memory_bytes', 'hearth_machine_memory_bytes', 'Memory of the machine, or the limit of the container.'],
  ['machine_memory_used', 'hearth_machine_memory_used_bytes', 'Used memory of the machine or container.'],
  [
    'listener_certificate_left',
    'hearth_listener_certificate_left_seconds',
    'Time until the first certificate of the listeners expires.',
  ],
  ['disk_bytes', 'hearth_disk_bytes', 'Size of the disk with the data folder.'],
  ['disk_used', 'hearth_disk_used_bytes', 'Used space of the disk with the data folder.'],
]

function loadMetrics(registers: Registry[]): (load: Load) => void {
  const counters = COUNTED.map(([key, name, help]) => [key, new Counter({ name, help, registers })] as const)
  const gauges = MEASURED.map(([key, name, help]) => [key, unknownGauge({ name, help, registers })] as const)
  const exportStatements = statementMetrics(registers)
  return ({ values, statements }) => {
    for (const [key, counter] of counters) counter.inc(values[key] ?? 0)
    for (const [key, gauge] of gauges) if (values[key] !== undefined) gauge.set(values[key])
    exportStatements(statements)
  }
}

/** A gauge without a value until it is set; others without labels begin with 0. */
function unknownGauge(options: ConstructorParameters<typeof Gauge>[0]): Gauge {
  const gauge = new Gauge(options)
  if (!options.labelNames?.length) gauge.remove()
  return gauge
}

/** A histogram in parts: that of prom-client can only observe one statement after the other. */
function statementMetrics(registers: Registry[]): (statements: Load['statements']) => void {
  const name = 'hearth_database_statement_duration_seconds'
  const help = 'Time of database statements.'
  const count = new Counter({ name: `${name}_count`, help, registers })
  const sum = new Counter({ name: `${name}_sum`, help, registers })
  const buckets = new Counter({ name: `${name}_bucket`, help, labelNames: ['le'], registers })
  const bounds = [...DURATION_BOUNDS.map(String), '+Inf']
  return (statements) => {
    count.inc(statements[0] ?? 0)
    sum.inc(statements[1] ?? 0)
    let upTo = 0
    for (const [place, le] of bounds.entries()) {
      upTo += statements[BUCKETS + place] ?? 0
      buckets.inc({ le }, upTo)
    }
  }
}

/** Figures of the server as a whole; every process shows the same. */
const OF_SERVER: readonly (readonly [string, string, readonly (readonly [LoadName, Record<string, string>])[]])[] = [
  [
    'hearth_queue_entries',
    'Entries of queues, counted up to 100,000; appservices: stream rows that the slowest has still to receive.',
    [
      ['outbox_events', { queue: 'outbox_events' }],
      ['outbox_edus', { queue: 'outbox_edus' }],
      ['inbox_events', { queue: 'inbox' }],
      ['push_queue', { queue: 'push' }],
      ['jobs_waiting', { queue: 'jobs' }],
      ['appservice_lag', { queue: 'appservices' }],
    ],
  ],
  ['hearth_queue_age_seconds', 'Age of the oldest entry of a queue that has not failed.', [['queue_age', {}]]],
  [
    'hearth_federation_servers',
    'Remote servers that responded within a week, and those of them that do not respond now.',
    [
      ['known_servers', { state: 'known' }],
      ['failing_servers', { state: 'failing' }],
    ],
  ],
  ['hearth_database_bytes', 'Size of the database.', [['database_bytes', {}]]],
  ['hearth_media_bytes', 'Size of all media files.', [['media_bytes', {}]]],
  [
    'hearth_active_users',
    'Users of this server who used it on the day (UTC), and within thirty days.',
    [
      ['daily_active_users', { period: 'day' }],
      ['monthly_active_users', { period: 'month' }],
    ],
  ],
  [
    'hearth_public_certificate_left_seconds',
    'Time until the first certificate of the public addresses expires.',
    [['public_certificate_left', {}]],
  ],
]

/** Shows the figures of the server as a whole, and alerts by kind, which `read` finds when the metrics are collected. */
export function exportServerFigures(
  registers: Registry[],
  read: () => Promise<{ values: Load['values']; alerts: Readonly<Record<string, number>> }>,
): void {
  const gauges = OF_SERVER.map(([name, help, parts]) => {
    const labelNames = Object.keys(parts[0]![1])
    return { parts, gauge: unknownGauge({ name, help, labelNames, registers }) }
  })
  new Gauge({
    name: 'hearth_alerts',
    help: 'Alerts that hold, by kind.',
    labelNames: ['kind'],
    registers,
    async collect() {
      // The other metrics are needed most when the database is down.
      const found = await read().catch(() => undefined)
      if (!found) return
      this.reset()
      for (const [kind, count] of Object.entries(found.alerts)) this.set({ kind }, count)
      for (const { gauge, parts } of gauges)
        for (const [name, labels] of parts) if (found.values[name] !== undefined) gauge.set(labels, found.values[name])
    },
  })
}
