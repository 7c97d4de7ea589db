import type { Traffic } from './traffic.ts'
import { sumTraffic } from './traffic.ts'

/** How values of several steps become one, and those of several processes. */
type Merge = 'sum' | 'max' | 'min'
type Rule = { steps: Merge; processes: Merge }

const MERGES: Readonly<Record<Merge, (a: number, b: number) => number>> = {
  sum: (a, b) => a + b,
  max: Math.max,
  min: Math.min,
}

const COUNTED: Rule = { steps: 'sum', processes: 'sum' }
const PEAK: Rule = { steps: 'max', processes: 'sum' }
const WORST: Rule = { steps: 'max', processes: 'max' }
const LEAST: Rule = { steps: 'min', processes: 'min' }

/**
 * The values of a step besides requests and statements. Counted values are sums; of others, a longer step has the peak.
 */
export const LOAD_RULES = {
  /** CPU time of the process, in seconds. */
  cpu_seconds: COUNTED,
  memory_bytes: PEAK,
  /** Delay of the event loop, in seconds. */
  event_loop_delay_p50: WORST,
  event_loop_delay_p99: WORST,
  /** Database connections in use, and callers waiting for one. */
  pool_used: PEAK,
  pool_waiting: PEAK,
  /** How often a connection was taken, and for how long all callers together waited for one, in seconds. */
  pool_taken: COUNTED,
  pool_wait_seconds: COUNTED,
  waiting_syncs: PEAK,
  /** Transactions to other servers. */
  transactions_sent: COUNTED,
  transactions_failed: COUNTED,
  /** Of the machine or container, and of the disk with the data folder. */
  machine_memory_bytes: WORST,
  machine_memory_used: WORST,
  disk_bytes: WORST,
  disk_used: WORST,
  /** Seconds until the certificates of the process's listeners expire, and those of the public addresses. */
  listener_certificate_left: LEAST,
  public_certificate_left: LEAST,
  /** The server as a whole: entries of queues, and the age of the oldest that is not in back-off, in seconds. */
  outbox_events: WORST,
  outbox_edus: WORST,
  inbox_events: WORST,
  push_queue: WORST,
  jobs_waiting: WORST,
  /** Stream rows that the application service furthest behind has still to receive. */
  appservice_lag: WORST,
  queue_age: WORST,
  failing_servers: WORST,
  known_servers: WORST,
  database_bytes: WORST,
  media_bytes: WORST,
  /** Users of this server who used it on the day (UTC), and within thirty days. */
  daily_active_users: WORST,
  monthly_active_users: WORST,
  /** Messages and joins that were stored, of all servers; sent: by users of this server. */
  messages: COUNTED,
  messages_sent: COUNTED,
  joins: COUNTED,
} as const satisfies Record<string, Rule>

export type LoadName = keyof typeof LOAD_RULES

export const LOAD_NAMES = Object.keys(LOAD_RULES) as LoadName[]

/** The load of a process, or of the server as a whole, in a step. */
export type Load = {
  values: Partial<Record<LoadName, number>>
  /** All requests together. */
  requests: Traffic
  /** Database statements: their number, and their time in seconds. */
  statements: Traffic
}

/** Returns a load of nothing. */
export function noLoad(): Load {
  return { values: {}, requests: [], statements: [] }
}

/** Adds a load to another, of the same process at another time (`steps`), or of another process (`processes`). */
export function addLoad(into: Load, load: Load, by: keyof Rule): void {
  for (const [name, value] of Object.entries(load.values) as [LoadName, number][]) {
    // A newer version of Hearth may have stored values that this one does not know.
    const rule: Rule | undefined = LOAD_RULES[name]
    const known = into.values[name]
    if (!rule) continue
    into.values[name] = known === undefined ? value : MERGES[rule[by]](known, value)
  }
  sumTraffic(into.requests, load.requests)
  sumTraffic(into.statements, load.statements)
}
