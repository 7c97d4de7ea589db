import type { App } from '../../app.ts'
import { type Load, noLoad } from '../../core/figures/load.ts'
import { TIERS } from '../../core/figures/tiers.ts'
import { countAlerts } from '../../storage/figures/alerts.ts'
import { loadServerLoads } from '../../storage/figures/figure-steps.ts'
import { parseLoad } from './step-texts.ts'

/** Some values are measured every ten minutes. */
const RECENT_MS = 20 * 60_000

/** Returns the last figures of the server as a whole, and how many alerts of each kind hold. */
export async function readServerFigures({
  database,
  clock,
}: Pick<App, 'database' | 'clock'>): Promise<{ values: Load['values']; alerts: Record<string, number> }> {
  const now = clock.now()
  const span = { resolution: TIERS[0]!.resolution, from: now - RECENT_MS, to: now + 1 }
  const [loads, alerts] = await Promise.all([loadServerLoads(database, span), countAlerts(database)])
  const { values } = noLoad()
  for (const load of loads) Object.assign(values, parseLoad(load).values)
  return { values, alerts }
}
