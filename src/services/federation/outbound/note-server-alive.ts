import { LRUCache } from 'lru-cache'
import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'
import { endRest } from '../../../storage/federation/federation-transactions.ts'

type Capabilities = Pick<App, 'database' | 'clock' | 'logger'>

/** A server that can reach this one may still be unreachable: its back-off is reset at most once per this time. */
const AGAIN_MS = 60_000
const REMEMBERED = 10_000

const seen = new WeakMap<App['database'], LRUCache<ServerName, number>>()

/**
 * Ends the back-off of a server that has just made a request. Costs nothing if that happened within the last minute.
 */
export function noteServerAlive({ database, clock, logger }: Capabilities, origin: ServerName): void {
  const known = madeOnce(seen, database, () => new LRUCache({ max: REMEMBERED }))
  const now = clock.now()
  if (now - (known.get(origin) ?? 0) < AGAIN_MS) return
  known.set(origin, now)
  database
    .write((tx) => endRest(tx, origin))
    .catch((error) => logger.warn({ err: error, origin }, 'resetting the back-off of a destination failed'))
}
