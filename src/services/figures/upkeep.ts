import { stepAt, stepMs, TIERS } from '../../core/figures/tiers.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { storeUpkeep, takeUpkeep } from '../../storage/figures/figure-upkeep.ts'
import {
  countMediaAndUsers,
  countQueues,
  countServers,
  findOldestEntries,
  measureDatabase,
  type ServerValues,
} from '../../storage/figures/server-figures.ts'
import { checkPublicCertificates } from './certificates.ts'
import { type AlertingApp, keepAlerts } from './keep-alerts.ts'
import { rollUp } from './roll-up.ts'
import { storeServerStep } from './server-step.ts'

const SHORTEST = TIERS[0]!
const MINUTE = { resolution: 60 }
const TEN_MINUTES = { resolution: 600 }
const DAY_MS = 86_400_000
/** Clocks of processes differ by less. Times further in the future are of a clock that was wrong. */
const CLOCK_JUMP_MS = 20 * 60_000
/** A server that has not responded for this long is gone. */
const GONE_AFTER_MS = 7 * DAY_MS

/**
 * Once a minute, in one process: stores the figures of the server as a whole, makes longer steps of shorter ones, and
 * deletes old ones, and begins and ends alerts.
 */
export async function keepUpFigures(app: AlertingApp): Promise<void> {
  const now = app.clock.now()
  const hasCounted = await app.database.write(async (tx) => {
    const latest = now + CLOCK_JUMP_MS
    const upkeep = await takeUpkeep(tx, { now, next: stepAt(MINUTE, now) + stepMs(MINUTE), latest })
    if (!upkeep) return false
    const isSlowDue = upkeep.slowDueTs <= now || upkeep.slowDueTs > latest
    await storeServerStep(tx, stepAt(SHORTEST, now) - stepMs(SHORTEST), {
      ...(await usualValues(tx, now)),
      ...(isSlowDue && (await slowValues(tx, now))),
    })
    const slowDueTs = isSlowDue ? stepAt(TEN_MINUTES, now) + stepMs(TEN_MINUTES) : upkeep.slowDueTs
    await storeUpkeep(tx, { done: await rollUp(tx, now, upkeep.done), slowDueTs })
    await keepAlerts(app, tx, { now, gapMs: now - upkeep.dueTs })
    return isSlowDue
  })
  if (hasCounted) await checkPublicCertificates(app)
}

async function usualValues(tx: Tx, now: number): Promise<ServerValues> {
  const oldest = Object.values(await findOldestEntries(tx, now)).filter((ts) => ts !== null)
  return {
    ...(await countQueues(tx, now)),
    queue_age: Math.max(0, now - Math.min(now, ...oldest)) / 1000,
    ...(await countServers(tx, now - GONE_AFTER_MS)),
    ...(await measureDatabase(tx)),
  }
}

function slowValues(tx: Tx, now: number): Promise<ServerValues> {
  return countMediaAndUsers(tx, { day: now - (now % DAY_MS), month: now - 30 * DAY_MS })
}
