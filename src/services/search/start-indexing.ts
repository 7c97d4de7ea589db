import type { App } from '../../app.ts'
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
  let underWay = Promise.resolve()
  let timer: NodeJS.Timeout | undefined

  const catchUp = async () => {
    while (!app.stopping.aborted && (await indexNextRows(app, { wait: false })));
  }
  const start = () => {
    timer = undefined
    underWay = underWay.then(catchUp).catch((error) => app.logger.warn({ err: error }, 'indexing for search failed'))
  }
  const startSoon = () => {
    if (app.stopping.aborted || timer) return
    timer = setTimeout(start, GATHER_MS)
    timer.unref()
  }

  const stopListening = app.stream.subscribe((rows) => {
    if (rows.some(({ kind }) => CAUSES.includes(kind))) startSoon()
  })
  startSoon()
  return {
    async stop() {
      stopListening()
      clearTimeout(timer)
      await underWay
    },
  }
}
