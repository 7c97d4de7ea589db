import type { App } from '../../../app.ts'
import { startLeasedWorker } from '../../../infra/concurrency/leased-worker.ts'
import { firstReady } from '../../../storage/rooms/delayed-events.ts'
import { sendDueEvents } from './send-due-events.ts'

/** The maximum time between two polls, since the clocks of processes differ. */
const LOOK_MS = 10_000
const RETRY_MS = 1000

/** Sends delayed events when they are due; every process runs this. `stop` waits for work in progress. */
export function startDelayedEvents(app: App): { stop(): Promise<void> } {
  return startLeasedWorker(app, {
    failure: 'acquiring of delayed events failed',
    level: 'error',
    lookEvery: LOOK_MS,
    retry: RETRY_MS,
    subscribe: ({ now }) =>
      app.stream.subscribe((rows) => {
        if (rows.some((row) => row.kind === 'delayed_event')) now()
      }),
    async look({ within }) {
      await sendDueEvents(app)
      const next = await firstReady(app.database)
      if (next !== null) within(Math.max(0, next - app.clock.now()))
    },
  })
}
