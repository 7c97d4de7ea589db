import type { App } from '../../../app.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import { settleRooms } from '../../../storage/rooms/active-rooms.ts'

const INTERVAL_MS = 5000
/** So many rooms may have events that lists of rooms do not know; each list that is read looks at these. */
const MOST_ACTIVE = 200
/** Rooms in one transaction: none of them can have an event meanwhile. */
const BATCH = 20

/**
 * Keeps the number of rooms small that lists of rooms have to look at one by one, until the server stops. `stop` waits
 * for what is under way.
 */
export function startSettling(app: Pick<App, 'database' | 'logger' | 'stopping'>): { stop(): Promise<void> } {
  const options = {
    every: INTERVAL_MS,
    first: INTERVAL_MS,
    failure: 'settling the lists of rooms failed',
    level: 'error',
  } as const
  return repeat(app, options, async () => {
    while (
      !app.stopping.aborted &&
      (await app.database.writeLazily((tx) => settleRooms(tx, { most: MOST_ACTIVE, limit: BATCH }))) === BATCH
    );
  })
}
