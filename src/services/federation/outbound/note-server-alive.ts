import { LRUCache } from 'lru-cache'
import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'
import { endRest } from '../../../storage/federation/federation-transactions.ts'

type Capabilities = Pick<App, 'database' | 'clock' | 'logger'>

/** A server that reaches us may still not be reached by us: its rest is cut short no more often than this. */
const AGAIN_MS = 60_000
const REMEMBERED = 10_000

const seen = new WeakMap<App['database'], LRUCache<ServerName, number>>()

/**
 * Another server has just made a request: if sending to it failed before, it is tried again now. Costs nothing when
 * that was noted within the last minute.
 */
export function noteServerAlive({ database, clock, logger }: Capabilities, origin: ServerName): void {
  const known = madeOnce(seen, database, () => new LRUCache({ max: REMEMBERED }))
  const now = clock.now()
  if (now - (known.get(origin) ?? 0) < AGAIN_MS) return
  known.set(origin, now)
  database
    .write((tx) => endRest(tx, origin))
    .catch((error) => logger.warn({ err: error, origin }, 'trying another server again failed'))
}
