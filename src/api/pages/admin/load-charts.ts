import type { FigureSeries, FigureUnit } from '../../../services/figures/figure-series.ts'
import type { FigureProcess, Figures } from '../../../services/figures/read-figures.ts'
import type { Texts } from '../texts/en.ts'

/** A view of the load page: everything summed, by process, or requests by route, kind of client or remote server. */
export const LOAD_VIEWS = ['load', 'processes', 'routes', 'clients', 'peers'] as const
export type LoadView = (typeof LOAD_VIEWS)[number]

/** The charts of all processes together, with their lines, in the order of the page. */
const SUMMED = {
  requests: ['requests'],
  request_times: ['request_p50', 'request_p95', 'request_p99'],
  bandwidth: ['bytes_received', 'bytes_sent'],
  cpu: ['cpu'],
  memory: ['memory_bytes', 'machine_memory_used', 'machine_memory_bytes'],
  event_loop: ['event_loop_delay_p50', 'event_loop_delay_p99'],
  statements: ['statements'],
  statement_times: ['statement_p50', 'statement_p95', 'statement_p99'],
  pool: ['pool_used', 'pool_waiting'],
  pool_wait: ['pool_wait'],
  waiting_syncs: ['waiting_syncs'],
  messages: ['messages', 'messages_sent', 'joins'],
  transactions: ['transactions_sent', 'transactions_failed'],
  servers: ['failing_servers', 'known_servers'],
  queues: ['outbox_events', 'outbox_edus', 'inbox_events', 'push_queue', 'jobs_waiting', 'appservice_lag'],
  queue_age: ['queue_age'],
  stored: ['database_bytes', 'media_bytes'],
  disk: ['disk_used', 'disk_bytes'],
  active_users: ['daily_active_users', 'monthly_active_users'],
} as const satisfies Partial<Record<keyof Texts['admin']['load']['charts'], readonly SeriesName[]>>

/** The charts that have a line for each process, route, kind of client or remote server. */
const BY_PROCESS = [
  ...(['requests', 'request_p95', 'bytes_received', 'bytes_sent', 'cpu', 'memory_bytes'] as const),
  ...(['event_loop_delay_p99', 'statements', 'statement_p95', 'pool_used', 'pool_waiting', 'waiting_syncs'] as const),
] as const
const BY_KEY = ['requests', 'request_p50', 'request_p95', 'request_p99', 'bytes_received', 'bytes_sent'] as const

type SeriesName = keyof Texts['admin']['load']['series']

export type Chart = { name: string; title: string; unit: FigureUnit; lines: Line[] }
export type Line = { label: string; values: (number | null)[] }

/** Returns the charts of a view. Charts without any value are left out. */
export function chartsOf({ admin: { load: words } }: Texts, view: LoadView, figures: Figures): Chart[] {
  if (view === 'load') {
    const byName = new Map(figures.series.map((series) => [series.name, series]))
    return Object.entries(SUMMED).flatMap(([name, parts]) => {
      const found = parts.flatMap((part) => byName.get(part) ?? [])
      const lines = found.map((series) => lineOf(series, words.series[series.name as SeriesName]))
      return chartOf(name, words.charts[name as keyof typeof SUMMED], found, lines)
    })
  }
  const names = view === 'processes' ? BY_PROCESS : BY_KEY
  return names.flatMap((name) => {
    const found = figures.series.filter(
      (series) => series.name === name && (view === 'processes' ? series.process !== null : series.key !== null),
    )
    const lines = found.map((series) => lineOf(series, labelOf(words, figures.processes, series)))
    return chartOf(name, words.charts[name], found, lines)
  })
}

function labelOf(
  { others, gone }: Texts['admin']['load'],
  processes: readonly FigureProcess[],
  { process, key }: FigureSeries,
): string {
  if (key !== null) return key === '' ? others : key
  const known = processes.find((each) => each.process === process)
  return known ? `${known.host}:${known.pid}` : gone
}

function lineOf({ values }: FigureSeries, label: string): Line {
  return { label, values }
}

function chartOf(name: string, title: string, found: readonly FigureSeries[], lines: Line[]): Chart[] {
  const hasValues = lines.some(({ values }) => values.some((value) => value !== null))
  return hasValues ? [{ name, title, unit: found[0]!.unit, lines }] : []
}
