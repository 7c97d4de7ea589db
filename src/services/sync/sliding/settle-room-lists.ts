import type { App } from '../../../app.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import { settleRooms } from '../../../storage/rooms/active-rooms.ts'

const INTERVAL_MS = 5000
/** Maximum number of rooms with events that room lists do not include yet; each read of a list checks these. */
const MOST_ACTIVE = 200
/** Rooms per transaction: none of them can get an event during it. */
const BATCH = 20

/**
 * Bounds the number of rooms that room lists have to check one by one, until the server stops. `stop` waits for work in
 * progress.
 */
export function startSettling(app: Pick<App, 'database' | 'logger' | 'stopping'>): { stop(): Promise<void> } {
  const options = {
    every: INTERVAL_MS,
    first: INTERVAL_MS,
    failure: 'update of room lists failed',
    level: 'error',
  } as const
  return repeat(app, options, async () => {
    while (
      !app.stopping.aborted &&
      (await app.database.writeLazily((tx) => settleRooms(tx, { most: MOST_ACTIVE, limit: BATCH }))) === BATCH
    );
  })
}
