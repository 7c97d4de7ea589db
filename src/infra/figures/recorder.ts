import { bucketOf } from '../../core/figures/durations.ts'
import { type Load, noLoad } from '../../core/figures/load.ts'
import { BUCKETS, OTHERS, sumTraffic, type Traffic, type TrafficTable } from '../../core/figures/traffic.ts'

/** A request that was answered. `peer`: the server that made it. */
export type RecordedRequest = {
  route: string
  client: string
  peer?: string | undefined
  seconds: number
  received: number
  sent: number
}

/** The figures of a process since they were last taken. */
export type Recorded = { load: Load; routes: TrafficTable; clients: TrafficTable; peers: TrafficTable }

/** Counts what a process does, in memory. */
export type Recorder = {
  request(request: RecordedRequest): void
  /** Bytes of a connection that is no request, such as a WebSocket. */
  bytes(traffic: Omit<RecordedRequest, 'peer' | 'seconds'>): void
  /** A request to another server has ended. */
  requestToPeer(peer: string, traffic: { seconds: number; received: number; sent: number }): void
  statement(seconds: number): void
  /** A caller got a database connection after a wait. */
  connection(waited: number, pool: { used: number; waiting: number }): void
  /** Returns the figures and begins again. */
  take(): Recorded
}

/** More names go to the others: a step is short, so only an attack has so many. */
const MAX_NAMES = 2000

/** Creates a recorder; one that is not `enabled` counts nothing. */
export function createRecorder(enabled: boolean): Recorder {
  let now = nothing()

  return {
    request({ route, client, peer, seconds, received, sent }) {
      if (!enabled) return
      const bucket = BUCKETS + bucketOf(seconds)
      const traffic = { seconds, received, sent, bucket }
      add(now.routes, route, traffic)
      add(now.clients, client, traffic)
      if (peer !== undefined) add(now.peers, peer, traffic)
    },
    bytes({ route, client, received, sent }) {
      if (!enabled) return
      for (const traffic of [entryOf(now.routes, route), entryOf(now.clients, client)]) {
        while (traffic.length < BUCKETS) traffic.push(0)
        traffic[2]! += received
        traffic[3]! += sent
      }
    },
    requestToPeer(peer, { seconds, received, sent }) {
      if (enabled) add(now.peers, peer, { seconds, received, sent, bucket: BUCKETS + bucketOf(seconds) })
    },
    statement(seconds) {
      if (enabled) addTo(now.load.statements, { seconds, received: 0, sent: 0, bucket: BUCKETS + bucketOf(seconds) })
    },
    connection(waited, { used, waiting }) {
      if (!enabled) return
      const { values } = now.load
      values.pool_taken = (values.pool_taken ?? 0) + 1
      values.pool_wait_seconds = (values.pool_wait_seconds ?? 0) + waited
      if (used > (values.pool_used ?? 0)) values.pool_used = used
      if (waiting > (values.pool_waiting ?? 0)) values.pool_waiting = waiting
    },
    take() {
      const taken = now
      now = nothing()
      for (const traffic of taken.routes.values()) sumTraffic(taken.load.requests, traffic)
      return taken
    },
  }
}

function nothing(): Recorded {
  return { load: noLoad(), routes: new Map(), clients: new Map(), peers: new Map() }
}

type Counted = { seconds: number; received: number; sent: number; bucket: number }

function add(table: TrafficTable, name: string, counted: Counted): void {
  addTo(entryOf(table, name), counted)
}

function entryOf(table: TrafficTable, name: string): Traffic {
  const known = table.get(name)
  if (known) return known
  if (table.size >= MAX_NAMES && name !== OTHERS) return entryOf(table, OTHERS)
  const traffic: Traffic = []
  table.set(name, traffic)
  return traffic
}

function addTo(traffic: Traffic, { seconds, received, sent, bucket }: Counted): void {
  // Filled, because arrays with holes are slow.
  while (traffic.length <= bucket) traffic.push(0)
  traffic[0]! += 1
  traffic[1]! += seconds
  traffic[2]! += received
  traffic[3]! += sent
  traffic[bucket]! += 1
}
