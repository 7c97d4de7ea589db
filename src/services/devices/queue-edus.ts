import type { App } from '../../app.ts'
import { isDeniedBy } from '../../core/rooms/server-lists.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { type NewEdu, queueEdus } from '../../storage/federation/federation-outbox.ts'
import { emptyFullOutbox, outboxesToMeasure } from '../../storage/federation/full-outboxes.ts'

/** Queues EDUs for other servers, except denied ones, and evicts from outboxes that exceed their limit. */
export async function queueWithinLimit(
  app: Pick<App, 'config' | 'logger'>,
  tx: Tx,
  edus: readonly NewEdu[],
): Promise<void> {
  const { servers } = app.config.federation
  const allowed = edus.filter(({ destination }) => !isDeniedBy(servers, destination))
  const queued = await queueEdus(tx, allowed)
  const { server_outbox: limit } = app.config.limits.totals
  for (const destination of outboxesToMeasure(tx, queued, limit)) {
    const dropped = await emptyFullOutbox(tx, destination, limit)
    if (dropped > 0) app.logger.warn({ destination, dropped }, 'outbox of destination full, EDUs dropped')
  }
}
