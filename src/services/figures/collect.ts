import { hostname } from 'node:os'
import type { App } from '../../app.ts'
import { stepAt, stepMs, TIERS } from '../../core/figures/tiers.ts'
import { createLeases, type Leases } from '../../infra/concurrency/leases.ts'
import { HEARTH_VERSION } from '../../infra/hearth-version.ts'
import { storeSteps, takeProcessNumber } from '../../storage/figures/figure-steps.ts'
import type { FigureRow } from '../../storage/schema/figures.ts'
import { stepRow } from './step-texts.ts'

/** Stores the figures of this process, one row for each step. */
export type Collection = {
  /** Stores the last step if it is over; `isEnding`: also the present one, as far as it is. */
  store(isEnding?: boolean): Promise<void>
}

type CollectingApp = Pick<App, 'database' | 'clock' | 'random' | 'metrics'>

const STEP = TIERS[0]!
/** A process that has not stored anything for this long has died: another one may have its number. */
const LEASE_MS = 60_000
/** Steps that wait while the database cannot be reached; older ones are dropped. */
const MOST_WAITING = 60
/** If the last stored step is further in the future, the clock was wrong. */
const CLOCK_JUMP_MS = 60_000

/** Creates the collection; a process begins with the step of the present time. */
export function createCollection(app: CollectingApp): Collection {
  const leases = createLeases(app, LEASE_MS)
  let waiting: Omit<FigureRow, 'process'>[] = []
  let number: number | undefined
  let stored = stepAt(STEP, app.clock.now()) - stepMs(STEP)

  async function takeStep(isEnding: boolean): Promise<void> {
    const present = stepAt(STEP, app.clock.now())
    const step_ts = isEnding ? present : present - stepMs(STEP)
    if (step_ts <= stored && stored - step_ts < CLOCK_JUMP_MS) return
    stored = step_ts
    const row = stepRow(await app.metrics.takeFigures(), { resolution: STEP.resolution, step_ts, process: 0 })
    waiting = [...waiting, row].slice(-MOST_WAITING)
  }

  /** False: another process has the number. */
  async function storeWaiting(isEnding: boolean): Promise<boolean> {
    number ??= await takeNumber(app, leases)
    const process = number
    const steps = waiting.map((step) => ({ ...step, process }))
    // The next process with this number must not store the same step again.
    const end = stepAt(STEP, app.clock.now()) + stepMs(STEP)
    const lease = { holder: leases.holder, until: isEnding ? end : leases.next().until }
    const isStored = await app.database.writeLazily((tx) => storeSteps(tx, { process, ...lease, steps }))
    if (!isStored) number = undefined
    return isStored
  }

  return {
    async store(isEnding = false) {
      await takeStep(isEnding)
      const isStored = (await storeWaiting(isEnding)) || (await storeWaiting(isEnding))
      if (isStored) waiting = []
    },
  }
}

async function takeNumber(app: CollectingApp, leases: Leases): Promise<number> {
  const process_ = { host: hostname().slice(0, 255), pid: process.pid, version: HEARTH_VERSION }
  for (;;) {
    const lease = leases.next()
    const number = await app.database.write((tx) => takeProcessNumber(tx, { ...lease, ...process_ }))
    if (number !== undefined) return number
  }
}
