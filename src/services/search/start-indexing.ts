import type { App } from '../../app.ts'
import { startLeasedWorker } from '../../infra/concurrency/leased-worker.ts'
import { indexNextRows } from './index-stream.ts'

/** Events within this time are indexed together. */
const GATHER_MS = 1000
const CAUSES: readonly string[] = ['event', 'history', 'profile', 'room_complete']

/**
 * Indexes messages and users from the stream, decoupled from sending: the index lags by a second, which searches
 * compensate. Every process runs this; one works at a time. `stop` waits for work in progress.
 */
export function startIndexing(app: Pick<App, 'database' | 'stream' | 'logger' | 'stopping'>): {
  stop(): Promise<void>
} {
  return startLeasedWorker(app, {
    failure: 'search indexing failed',
    firstLook: GATHER_MS,
    subscribe: ({ within }) =>
      app.stream.subscribe((rows) => {
        if (rows.some(({ kind }) => CAUSES.includes(kind))) within(GATHER_MS)
      }),
    // The lease is a row lock in the transaction that stores the position.
    async look() {
      while (!app.stopping.aborted && (await indexNextRows(app, { wait: false })));
    },
  })
}
