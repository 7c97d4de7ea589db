import { LRUCache } from 'lru-cache'
import type { ServerName } from '../../../core/ids.ts'
import type { Clock } from '../../../infra/clock.ts'
import type { Logger } from '../../../infra/logger.ts'
import type { Database } from '../../../storage/engine/database.ts'
import { endBackOff } from '../../../storage/federation/destinations.ts'

/** The servers that made a request lately. */
export type ServersAlive = {
  /**
   * Records that a server has made a request: if sending to it failed before, it is tried again now. Costs nothing if
   * that was recorded within the last minute.
   */
  note(origin: ServerName): void
}

/** A server that reaches us may still not be reachable: its back-off is cut short no more often than this. */
const AGAIN_MS = 60_000
const REMEMBERED = 10_000

export function createServersAlive(app: { database: Database; clock: Clock; logger: Logger }): ServersAlive {
  const known = new LRUCache<ServerName, number>({ max: REMEMBERED })
  return {
    note(origin) {
      const now = app.clock.now()
      if (now - (known.get(origin) ?? 0) < AGAIN_MS) return
      known.set(origin, now)
      app.database
        .write((tx) => endBackOff(tx, origin))
        .catch((error) => app.logger.warn({ err: error, origin }, 'resetting the back-off of a destination failed'))
    },
  }
}
