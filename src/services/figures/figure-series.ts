import { quantileOf } from '../../core/figures/durations.ts'
import { LOAD_NAMES, LOAD_RULES, type Load, type LoadName } from '../../core/figures/load.ts'
import { BUCKETS, OTHERS, sumTraffic, type Traffic, type TrafficTable } from '../../core/figures/traffic.ts'

/**
 * One line of a chart. These series exist; with `load` each once for all processes and once for each of them:
 *
 * - `requests` (per second), `request_p50`, `request_p95`, `request_p99` (seconds), `bytes_received`, `bytes_sent`
 *   (bytes per second): also by route, kind of client and remote server. A waiting sync counts with the time it waited.
 * - `statements` (per second), `statement_p50`, `statement_p95`, `statement_p99`: of the database.
 * - `cpu` (processors in use), `memory_bytes`, `event_loop_delay_p50`, `event_loop_delay_p99` (seconds)
 * - `pool_used`, `pool_waiting` (connections, callers), `pool_wait` (seconds that a caller waited on average)
 * - `waiting_syncs`; `transactions_sent`, `transactions_failed` (to other servers, per second)
 * - `machine_memory_bytes`, `machine_memory_used`, `disk_bytes`, `disk_used` (bytes)
 * - `listener_certificate_left`, `public_certificate_left` (seconds until the first one expires)
 * - `messages`, `messages_sent`, `joins` (per second)
 * - of the server as a whole: `outbox_events`, `outbox_edus`, `inbox_events`, `push_queue`, `jobs_waiting`,
 *   `appservice_lag` (entries), `queue_age` (seconds), `failing_servers`, `known_servers`, `database_bytes`,
 *   `media_bytes`, `daily_active_users`, `monthly_active_users`
 */
export type FigureSeries = {
  name: string
  unit: FigureUnit
  /** Null: all processes together. */
  process: number | null
  /** The route, kind of client or remote server; '': all others; null: not by any of them. */
  key: string | null
  /** For each step; null: nothing is known. */
  values: (number | null)[]
}

export type FigureUnit = 'per_second' | 'bytes_per_second' | 'seconds' | 'bytes' | 'processors' | 'count'

/** Values by place of the step. */
export type StepValues<Value> = Map<number, Value>

/** Series whose name is not that of the value; others are as they are stored. */
const RATES: Partial<Record<LoadName, { name: string; unit: FigureUnit }>> = {
  cpu_seconds: { name: 'cpu', unit: 'processors' },
}
const SECONDS: readonly LoadName[] = [
  ...(['event_loop_delay_p50', 'event_loop_delay_p99', 'queue_age'] as const),
  ...(['listener_certificate_left', 'public_certificate_left'] as const),
]
/** Only the quotient of the two is shown. */
const PARTS: readonly LoadName[] = ['pool_taken', 'pool_wait_seconds']
const QUANTILES = [
  ['p50', 0.5],
  ['p95', 0.95],
  ['p99', 0.99],
] as const

/** Returns the series of a process, or of all. `seconds`: the length of each step. */
export function loadSeries(
  steps: StepValues<Load>,
  seconds: readonly number[],
  process: number | null,
): FigureSeries[] {
  const key = null
  const line = (name: string, unit: FigureUnit, read: (load: Load, length: number) => number | null | undefined) => ({
    ...{ name, unit, process, key },
    values: seconds.map((length, place) => {
      const load = steps.get(place)
      return (load && read(load, length)) ?? null
    }),
  })
  const values = LOAD_NAMES.filter((name) => !PARTS.includes(name))
    .filter((name) => [...steps.values()].some((load) => load.values[name] !== undefined))
    .map((name) => {
      const { name: shown, unit } = RATES[name] ?? { name, unit: unitOf(name) }
      const isRate = LOAD_RULES[name].steps === 'sum'
      return line(shown, unit, ({ values }, length) => {
        const value = values[name]
        return isRate && value !== undefined ? value / length : value
      })
    })
  const wait = line('pool_wait', 'seconds', ({ values: { pool_taken = 0, pool_wait_seconds = 0 } }) =>
    pool_taken === 0 ? null : pool_wait_seconds / pool_taken,
  )
  return [
    ...timedSeries(pick(steps, 'requests'), seconds, { what: 'request', process, key }),
    ...byteSeries(pick(steps, 'requests'), seconds, { process, key }),
    ...timedSeries(pick(steps, 'statements'), seconds, { what: 'statement', process, key }),
    wait,
    ...values,
  ]
}

/** Returns the series of routes, clients or peers with these names; `OTHERS` has all that have other names. */
export function trafficSeries(
  steps: StepValues<TrafficTable>,
  seconds: readonly number[],
  { names, process }: { names: readonly string[]; process: number | null },
): FigureSeries[] {
  return names.flatMap((key) => {
    const traffic = new Map([...steps].map(([place, table]) => [place, trafficOf(table, key, names)] as const))
    return [
      ...timedSeries(traffic, seconds, { what: 'request', process, key }),
      ...byteSeries(traffic, seconds, { process, key }),
    ]
  })
}

function trafficOf(table: TrafficTable, key: string, names: readonly string[]): Traffic {
  if (key !== OTHERS) return table.get(key) ?? []
  const others: Traffic = []
  for (const [name, traffic] of table) if (name === OTHERS || !names.includes(name)) sumTraffic(others, traffic)
  return others
}

function pick(steps: StepValues<Load>, part: 'requests' | 'statements'): StepValues<Traffic> {
  return new Map([...steps].map(([place, load]) => [place, load[part]]))
}

type Subject = Pick<FigureSeries, 'process' | 'key'>

function timedSeries(
  steps: StepValues<Traffic>,
  seconds: readonly number[],
  { what, ...subject }: Subject & { what: 'request' | 'statement' },
): FigureSeries[] {
  const counts = seconds.map((length, place) => rate(steps.get(place), 0, length))
  const quantiles = QUANTILES.map(([name, quantile]) => ({
    ...{ name: `${what}_${name}`, unit: 'seconds' as const, ...subject },
    values: seconds.map((_, place) => quantileOf(steps.get(place)?.slice(BUCKETS) ?? [], quantile)),
  }))
  return [{ name: `${what}s`, unit: 'per_second', ...subject, values: counts }, ...quantiles]
}

function byteSeries(steps: StepValues<Traffic>, seconds: readonly number[], subject: Subject): FigureSeries[] {
  return (['bytes_received', 'bytes_sent'] as const).map((name, place) => ({
    ...{ name, unit: 'bytes_per_second' as const, ...subject },
    values: seconds.map((length, step) => rate(steps.get(step), 2 + place, length)),
  }))
}

function rate(traffic: Traffic | undefined, place: number, length: number): number | null {
  return traffic ? (traffic[place] ?? 0) / length : null
}

function unitOf(name: LoadName): FigureUnit {
  if (LOAD_RULES[name].steps === 'sum') return 'per_second'
  if (name.endsWith('_bytes') || (name.endsWith('_used') && name !== 'pool_used')) return 'bytes'
  return SECONDS.includes(name) ? 'seconds' : 'count'
}
