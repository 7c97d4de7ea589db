import { addLoad, noLoad } from '../../core/figures/load.ts'
import { stepAt, stepMs, TIERS, type Tier } from '../../core/figures/tiers.ts'
import { sumTables } from '../../core/figures/traffic.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { deleteSteps, findFirstStep, insertFigures, loadSteps } from '../../storage/figures/figure-steps.ts'
import type { DoneSteps } from '../../storage/figures/figure-upkeep.ts'
import type { FigureRow } from '../../storage/schema/figures.ts'
import { parseLoad, parseTable, type Step, stepRow } from './step-texts.ts'

/** How late the steps of a process may be stored. */
const GRACE_MS = 60_000
/** How many longer steps one transaction makes. */
const BATCH = 10
/** Longer steps have this many processes; all others count as one, so that their number does not matter. */
const MOST_PROCESSES = 16

/** The number under which longer steps have all processes beyond the first sixteen. */
export const OTHER_PROCESSES = MOST_PROCESSES + 1

/** Makes longer steps of shorter ones, and deletes those that have become too old. Returns how far it has come. */
export async function rollUp(tx: Tx, now: number, done: DoneSteps): Promise<DoneSteps> {
  // After a clock was wrong, steps of the future count as done.
  const latest = (resolution: number) => stepAt({ resolution }, now - GRACE_MS)
  const reached: Record<string, number> = Object.fromEntries(
    Object.entries(done).map(([resolution, until]) => [resolution, Math.min(until, latest(Number(resolution)))]),
  )
  for (const [place, tier] of TIERS.entries()) {
    const longer = TIERS[place + 1]
    if (longer) reached[longer.resolution] = await makeSteps(tx, { now, tier, longer, done: reached })
    const isMade = longer ? reached[longer.resolution]! : now
    await deleteSteps(tx, { resolution: tier.resolution, before: Math.min(now - tier.keep, isMade) })
  }
  return reached
}

/** Returns the time before which all steps have been made. */
async function makeSteps(
  tx: Tx,
  { now, tier, longer, done }: { now: number; tier: Tier; longer: Tier; done: DoneSteps },
): Promise<number> {
  // Its own steps must have been made first.
  const known = tier === TIERS[0] ? now - GRACE_MS : (done[tier.resolution] ?? 0)
  const end = stepAt(longer, known)
  const from = done[longer.resolution] ?? 0
  const first = await findFirstStep(tx, { resolution: tier.resolution, from })
  if (first === undefined || first >= end) return Math.max(from, end)
  const start = stepAt(longer, first)
  const to = Math.min(end, start + BATCH * stepMs(longer))
  const rows = await loadSteps(tx, { resolution: tier.resolution, from: start, to })
  for (const [step_ts, inStep] of Map.groupBy(rows, (row) => stepAt(longer, row.step_ts)))
    await insertFigures(tx, mergeSteps(inStep, longer, step_ts))
  return to
}

/** Returns the rows of a longer step, one for each process. */
function mergeSteps(rows: readonly FigureRow[], longer: Tier, step_ts: number): FigureRow[] {
  const merged = new Map<number, Step>()
  const of = (process: number) => {
    const known = merged.get(process)
    if (known) return known
    const step: Step = { load: noLoad() }
    merged.set(process, step)
    return step
  }
  // First all steps of each process: a sum of peaks must be that of the same processes.
  for (const [process, steps] of Map.groupBy(rows, (row) => row.process)) {
    const load = noLoad()
    for (const row of steps) addLoad(load, parseLoad(row.load), 'steps')
    addLoad(of(Math.min(process, OTHER_PROCESSES)).load, load, 'processes')
  }
  for (const row of rows) {
    const step = of(longer.detailed ? Math.min(row.process, OTHER_PROCESSES) : 0)
    for (const table of ['routes', 'clients', 'peers'] as const) {
      const text = row[table]
      if (text === null) continue
      step[table] ??= new Map()
      sumTables(step[table], parseTable(text))
    }
  }
  return [...merged].map(([process, step]) => stepRow(step, { resolution: longer.resolution, step_ts, process }))
}
