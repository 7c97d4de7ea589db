import type { App } from '../../app.ts'
import type { Tx } from '../../storage/engine/database.ts'

/** Minimum interval between updates of the time when a device, a browser or a personal token was last used. */
const INTERVAL_MS = 3 * 60_000

/**
 * Stores in the background that `what` is in use, unless that was done shortly before: after the time which `update`
 * gets as `unlessSince`. A failure goes to the log.
 */
export function noteUse(
  app: Pick<App, 'database' | 'logger'>,
  what: string,
  { lastTs, now }: { lastTs: number | null; now: number },
  update: (tx: Tx, at: { now: number; unlessSince: number }) => Promise<void>,
): void {
  const unlessSince = now - INTERVAL_MS
  if (lastTs !== null && lastTs > unlessSince) return
  app.database
    .writeLazily((tx) => update(tx, { now, unlessSince }))
    .catch((error) => app.logger.warn({ err: error }, `update of the last use of a ${what} failed`))
}
