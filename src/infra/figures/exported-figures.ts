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
      for (const [place, counter] of counters.entries()) counter.inc({ client: client || 'other' }, traffic[place] ?? 0)
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
  ['disk_bytes', 'hearth_disk_bytes', 'Size of the disk with the data folder.'],
  ['disk_used', 'hearth_disk_used_bytes', 'Used space of the disk with the data folder.'],
]

function loadMetrics(registers: Registry[]): (load: Load) => void {
  const counters = COUNTED.map(([key, name, help]) => [key, new Counter({ name, help, registers })] as const)
  const gauges = MEASURED.map(([key, name, help]) => [key, new Gauge({ name, help, registers })] as const)
  const exportStatements = statementMetrics(registers)
  return ({ values, statements }) => {
    for (const [key, counter] of counters) counter.inc(values[key] ?? 0)
    for (const [key, gauge] of gauges) if (values[key] !== undefined) gauge.set(values[key])
    exportStatements(statements)
  }
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
