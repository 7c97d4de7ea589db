import type { App } from '../../app.ts'
import { addLoad, type Load, noLoad } from '../../core/figures/load.ts'
import { stepAt, stepMs, TIERS, type Tier } from '../../core/figures/tiers.ts'
import { largest, sumTables, type TrafficTable } from '../../core/figures/traffic.ts'
import {
  type FigureSpan,
  type FigureTable,
  listFigureProcesses,
  loadLoads,
  loadTables,
} from '../../storage/figures/figure-steps.ts'
import { loadDoneSteps } from '../../storage/figures/figure-upkeep.ts'
import { type FigureSeries, loadSeries, type StepValues, trafficSeries } from './figure-series.ts'
import { parseLoad, parseTable } from './step-texts.ts'

/** The ranges that figures are shown for, in milliseconds, with the length of a step in seconds. */
export const FIGURE_RANGES = {
  hour: { length: 3_600_000, step: 60 },
  day: { length: 24 * 3_600_000, step: 600 },
  week: { length: 7 * 24 * 3_600_000, step: 3600 },
  month: { length: 30 * 24 * 3_600_000, step: 14_400 },
  year: { length: 365 * 24 * 3_600_000, step: 86_400 },
} as const

export type FigureRange = keyof typeof FIGURE_RANGES

export type FigureQuery = {
  /** The subject of the series; `load`: everything but routes, clients and peers. */
  of: 'load' | FigureTable
  /** Milliseconds since 1970. Figures of the last, unfinished ten seconds are not there yet. */
  from: number
  to: number
  /** The length of a step in seconds: 10, 60, 600, 3600 or 86400, or a multiple of one. */
  step: number
  /** `load`: also series of each process. */
  eachProcess?: boolean
  /** Routes, clients and peers: only of this process. Steps of ten minutes and more have all processes together. */
  process?: number | undefined
  /** How many routes, clients or peers; the rest is summed up. */
  top?: number
}

/** A process that has collected figures. `is_alive`: it still does. */
export type FigureProcess = {
  process: number
  host: string
  pid: number
  version: string
  started_ts: number
  is_alive: boolean
}

export type Figures = {
  from: number
  to: number
  step: number
  /** The start of each step, in milliseconds since 1970; `values` of the series belong to them. */
  times: number[]
  processes: FigureProcess[]
  series: FigureSeries[]
}

/** More steps than a screen has columns are of no use. */
export const MOST_STEPS = 2000
const TOP = 10

/**
 * Returns series of what the server did in a span of time: summed over all processes, and for each of them. The series
 * are listed in figure-series.ts. Spans from before the start of the server have nulls.
 */
export async function readFigures(app: Pick<App, 'database' | 'clock'>, query: FigureQuery): Promise<Figures> {
  const now = app.clock.now()
  const grid = await gridOf(app, query)
  const series = query.of === 'load' ? await readLoad(app, query, grid) : await readTable(app, query, grid)
  const processes = (await listFigureProcesses(app.database)).map(({ holder: _, leased_until, ...process }) => ({
    ...process,
    is_alive: leased_until > now,
  }))
  const { from, to, times } = grid
  return { from, to, step: query.step, times, processes, series }
}

/** The steps of an answer: their start and length in seconds, and the stored spans of which they are made. */
type Grid = {
  from: number
  to: number
  times: number[]
  seconds: number[]
  spans: FigureSpan[]
  placeOf(time: number): number
}

type Span = Pick<FigureQuery, 'from' | 'to' | 'step'>

async function gridOf(app: Pick<App, 'database' | 'clock'>, query: Span): Promise<Grid> {
  const step = query.step * 1000
  const from = query.from - (query.from % step)
  const to = Math.max(from + step, Math.min(query.to, stepAt(TIERS[0]!, app.clock.now())))
  const times = Array.from({ length: Math.min(MOST_STEPS, Math.ceil((to - from) / step)) }, (_, n) => from + n * step)
  return {
    ...{ from, to, times },
    seconds: times.map((time) => Math.min(step, to - time) / 1000),
    spans: await spansOf(app, { step: query.step, from, to: Math.min(to, times.at(-1)! + step) }),
    placeOf: (time) => Math.floor((time - from) / step),
  }
}

/** Returns what all processes together did in the steps of a span, by their start; steps of which nothing is known are left out. */
export async function readLoads(app: Pick<App, 'database' | 'clock'>, span: Span): Promise<Map<number, Load>> {
  const grid = await gridOf(app, span)
  const sum = sumOfProcesses(await loadsByProcess(app, grid))
  return new Map([...sum].map(([place, load]) => [grid.times[place]!, load]))
}

/** The coarsest steps of which the requested ones are made; where these are not made yet, finer ones. */
async function spansOf(app: Pick<App, 'database'>, { from, to, step }: Span): Promise<FigureSpan[]> {
  const done = await loadDoneSteps(app.database)
  const tiers = TIERS.filter(({ resolution }) => resolution <= step && step % resolution === 0)
  const spans: FigureSpan[] = []
  let start = from
  for (const tier of tiers.toReversed()) {
    const end = tier === TIERS[0] ? to : Math.min(to, endOf(tier, done))
    if (end > start) spans.push({ resolution: tier.resolution, from: start, to: end })
    start = Math.max(start, end)
  }
  return spans
}

function endOf({ resolution }: Tier, done: Readonly<Record<string, number>>): number {
  return done[resolution] ?? 0
}

async function readLoad(
  app: Pick<App, 'database'>,
  { eachProcess = false }: FigureQuery,
  grid: Grid,
): Promise<FigureSeries[]> {
  const byProcess = await loadsByProcess(app, grid)
  const each = eachProcess ? [...byProcess].filter(([process]) => process > 0).sort(([a], [b]) => a - b) : []
  return [
    ...loadSeries(sumOfProcesses(byProcess), grid.seconds, null),
    ...each.flatMap(([process, steps]) => loadSeries(steps, grid.seconds, process)),
  ]
}

async function loadsByProcess(
  app: Pick<App, 'database'>,
  { spans, placeOf }: Grid,
): Promise<Map<number, StepValues<Load>>> {
  const byProcess = new Map<number, StepValues<Load>>()
  for (const rows of await Promise.all(spans.map((span) => loadLoads(app.database, span)))) {
    for (const { step_ts, process, load } of rows) {
      const steps = byProcess.get(process) ?? new Map<number, Load>()
      byProcess.set(process, steps)
      addAt(steps, placeOf(step_ts), noLoad, (into) => addLoad(into, parseLoad(load), 'steps'))
    }
  }
  return byProcess
}

function sumOfProcesses(byProcess: ReadonlyMap<number, StepValues<Load>>): StepValues<Load> {
  const sum: StepValues<Load> = new Map()
  for (const steps of byProcess.values())
    for (const [place, load] of steps) addAt(sum, place, noLoad, (into) => addLoad(into, load, 'processes'))
  return sum
}

async function readTable(
  app: Pick<App, 'database'>,
  { of, process, top = TOP }: FigureQuery,
  grid: Grid,
): Promise<FigureSeries[]> {
  if (of === 'load') return []
  const total: TrafficTable = new Map()
  const steps: StepValues<TrafficTable> = new Map()
  for (const rows of await Promise.all(grid.spans.map((span) => loadTables(app.database, { ...span, of })))) {
    for (const row of rows) {
      if (process !== undefined && row.process !== process) continue
      const table = parseTable(row.entries)
      sumTables(total, table)
      addAt(
        steps,
        grid.placeOf(row.step_ts),
        () => new Map(),
        (into) => sumTables(into, table),
      )
    }
  }
  const names = [...largest(total, top).keys()]
  return trafficSeries(steps, grid.seconds, { names, process: process ?? null })
}

function addAt<Value>(steps: StepValues<Value>, place: number, create: () => Value, add: (into: Value) => void): void {
  const value = steps.get(place) ?? create()
  steps.set(place, value)
  add(value)
}

/** Returns the span of a range that ends now. */
export function spanOfRange(
  { clock }: Pick<App, 'clock'>,
  range: FigureRange,
): { from: number; to: number; step: number } {
  const { length, step } = FIGURE_RANGES[range]
  const now = clock.now()
  return { from: now - length, to: now, step }
}

/** Whether figures have steps of this length in seconds. */
export function isStepLength(step: number): boolean {
  return TIERS.some((tier) => step >= tier.resolution && (step * 1000) % stepMs(tier) === 0)
}
