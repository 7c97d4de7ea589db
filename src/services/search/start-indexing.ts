import type { App } from '../../app.ts'
import { repeat } from '../../infra/concurrency/repeat.ts'
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
  const indexing = repeat(app, { first: GATHER_MS, failure: 'indexing for search failed' }, async () => {
    while (!app.stopping.aborted && (await indexNextRows(app, { wait: false })));
  })
  const unsubscribe = app.stream.subscribe((rows) => {
    if (rows.some(({ kind }) => CAUSES.includes(kind))) indexing.within(GATHER_MS)
  })
  return {
    stop() {
      unsubscribe()
      return indexing.stop()
    },
  }
}
