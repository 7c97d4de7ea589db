import type { App } from '../../app.ts'
import { stepMs, TIERS } from '../../core/figures/tiers.ts'
import { repeat, type Wake } from '../../infra/concurrency/repeat.ts'
import { watchListenerCertificates } from './certificates.ts'
import { createCollection } from './collect.ts'
import { readServerFigures } from './read-server-figures.ts'
import { keepUpFigures } from './upkeep.ts'

const STEP_MS = stepMs(TIERS[0]!)

/**
 * Stores the figures of this process at the end of each step, and takes part in their upkeep, until the server stops.
 * Does nothing if figures are disabled.
 */
export function startFigures(app: App): { stop(): Promise<void> } {
  if (!app.config.figures.enabled) return { stop: async () => {} }
  watchListenerCertificates(app)
  app.metrics.watchServer(() => readServerFigures(app))
  const collection = createCollection(app)
  const options = { first: untilNextStep(app), failure: 'storing of figures failed, will retry' }
  const loop = repeat(app, options, async (wake: Wake) => {
    // At the end of each step, whatever the work takes.
    wake.within(untilNextStep(app))
    await collection.store()
    await keepUpFigures(app)
  })
  return {
    async stop() {
      await loop.stop()
      await collection.store(true).catch((error) => app.logger.warn({ err: error }, 'last figures were not stored'))
    },
  }
}

function untilNextStep({ clock }: Pick<App, 'clock'>): number {
  return STEP_MS - (clock.now() % STEP_MS)
}
