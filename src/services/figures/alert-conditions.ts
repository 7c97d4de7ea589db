import type { App } from '../../app.ts'
import { addLoad, type Load, type LoadName, noLoad } from '../../core/figures/load.ts'
import { TIERS } from '../../core/figures/tiers.ts'
import type { Db } from '../../storage/engine/database.ts'
import type { Condition } from '../../storage/figures/alerts.ts'
import { listFigureProcesses, loadLoads } from '../../storage/figures/figure-steps.ts'
import { parseLoad } from './step-texts.ts'

export type AlertKind =
  | 'disk'
  | 'memory'
  | 'event_loop_delay'
  | 'pool_wait'
  | 'queue_age'
  | 'certificate'
  | 'failing_servers'

type Limits = App['config']['alerts']
/** The last minutes of a process, or of the server as a whole. */
type Seen = { host: string; steps: Load[]; sum: Load }

/** Conditions that come and go hold if they did in this time. */
const WATCHED_MS = 5 * 60_000
/** Values that are measured less often. */
const RARE_MS = 20 * 60_000
/** In fewer steps, a process has just started. */
const LEAST_STEPS = 20
const MOSTLY = 0.8
const LEAST_SERVERS = 10

/** Returns the conditions that hold by the figures of the last minutes. Values are in percent, seconds or days. */
export async function findConditions(db: Db, limits: Limits, now: number): Promise<Condition[]> {
  const { resolution } = TIERS[0]!
  const rows = await loadLoads(db, { resolution, from: now - RARE_MS, to: now + 1 })
  const hosts = new Map((await listFigureProcesses(db)).map(({ process, host }) => [process, host]))
  const recent = rows.filter(({ step_ts }) => step_ts >= now - WATCHED_MS)
  const processes = [...Map.groupBy(recent, ({ process }) => process)]
    .filter(([process]) => process > 0)
    .map(([process, steps]) => [process, seen(steps, hosts.get(process) ?? '')] as const)
  return [
    ...processes.flatMap(([, process]) => hostConditions(process, limits)),
    ...processes.flatMap(([number, process]) => processConditions(`${number} (${process.host})`, process, limits)),
    ...serverConditions(seen(rows, ''), seen(recent, '').sum, limits),
  ].reduce<Condition[]>(withoutDoubles, [])
}

function seen(rows: readonly { load: string }[], host: string): Seen {
  const steps = rows.map(({ load }) => parseLoad(load))
  const sum = noLoad()
  for (const step of steps) addLoad(sum, step, 'steps')
  return { host, steps, sum }
}

function hostConditions({ host, steps }: Seen, limits: Limits): Condition[] {
  const last = steps.at(-1)!.values
  const disk = percentOf(last.disk_used, last.disk_bytes)
  const memory = Math.min(
    ...steps.map(({ values }) => percentOf(values.machine_memory_used, values.machine_memory_bytes)),
  )
  return [
    condition('disk', host, { value: disk, holds: disk >= limits.disk_used, isWatched: limits.disk_used > 0 }),
    condition('memory', host, {
      value: memory,
      holds: steps.length >= LEAST_STEPS && memory >= limits.memory_used,
      isWatched: limits.memory_used > 0,
    }),
  ].flat()
}

function processConditions(name: string, { steps, sum }: Seen, limits: Limits): Condition[] {
  const delays = steps.map(({ values }) => values.event_loop_delay_p99 ?? 0).sort((a, b) => b - a)
  // Most steps are at least as late.
  const delay = delays[Math.floor(delays.length * MOSTLY)] ?? 0
  const wait = (sum.values.pool_wait_seconds ?? 0) / (sum.values.pool_taken || 1)
  const isKnown = steps.length >= LEAST_STEPS
  return [
    condition('event_loop_delay', name, {
      value: delay,
      holds: isKnown && delay * 1000 >= limits.event_loop_delay,
      isWatched: limits.event_loop_delay > 0,
    }),
    condition('pool_wait', name, {
      value: wait,
      holds: isKnown && wait * 1000 >= limits.pool_wait,
      isWatched: limits.pool_wait > 0,
    }),
  ].flat()
}

function serverConditions({ steps }: Seen, recent: Load, limits: Limits): Condition[] {
  const lastOf = (name: LoadName) => steps.findLast(({ values }) => values[name] !== undefined)?.values[name]
  const age = lastOf('queue_age') ?? 0
  const [failing, known] = [lastOf('failing_servers') ?? 0, lastOf('known_servers') ?? 0]
  const part = percentOf(failing, known)
  const ofListeners = recent.values.listener_certificate_left ?? Number.POSITIVE_INFINITY
  const left = Math.min(ofListeners, lastOf('public_certificate_left') ?? Number.POSITIVE_INFINITY)
  return [
    condition('queue_age', '', { value: age, holds: age * 1000 >= limits.queue_age, isWatched: limits.queue_age > 0 }),
    condition('certificate', '', {
      value: left / 86_400,
      holds: left * 1000 <= limits.certificate_expiry,
      isWatched: limits.certificate_expiry > 0,
    }),
    condition('failing_servers', '', {
      value: part,
      holds: failing >= LEAST_SERVERS && part >= limits.failing_servers,
      isWatched: limits.failing_servers > 0,
    }),
  ].flat()
}

function condition(
  kind: AlertKind,
  subject: string,
  { value, holds, isWatched }: { value: number; holds: boolean; isWatched: boolean },
): Condition[] {
  return holds && isWatched ? [{ kind, subject, value }] : []
}

function percentOf(part = 0, whole = 0): number {
  return whole === 0 ? 0 : (part / whole) * 100
}

/** Processes of one host see the same disk. */
function withoutDoubles(found: Condition[], next: Condition): Condition[] {
  const isKnown = found.some(({ kind, subject }) => kind === next.kind && subject === next.subject)
  return isKnown ? found : [...found, next]
}
