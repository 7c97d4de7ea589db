import type { App } from '../../app.ts'
import { repeat } from '../../infra/concurrency/repeat.ts'
import { indexNextRows } from './index-stream.ts'

/** What happens within this time is indexed together. */
const GATHER_MS = 1000
const CAUSES: readonly string[] = ['event', 'history', 'profile', 'room_complete']

/**
 * Keeps the index of messages and users up with the stream, apart from the sending of messages: it lags by a second,
 * which searches make up for. Any number of processes may do so; one of them works at a time. `stop` waits for what is
 * under way.
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
