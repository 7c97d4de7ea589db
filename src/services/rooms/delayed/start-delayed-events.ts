import type { App } from '../../../app.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import { firstReady } from '../../../storage/rooms/delayed-events.ts'
import { sendDueEvents } from './send-due-events.ts'

/** The maximum time between two polls, since the clocks of processes differ. */
const LOOK_MS = 10_000
const RETRY_MS = 1000

/** Sends delayed events when they are due; every process runs this. `stop` waits for work in progress. */
export function startDelayedEvents(app: App): { stop(): Promise<void> } {
  const options = {
    every: LOOK_MS,
    retry: RETRY_MS,
    failure: 'acquiring of delayed events failed',
    level: 'error',
  } as const
  const sending = repeat(app, options, async () => {
    await sendDueEvents(app)
    const next = await firstReady(app.database)
    if (next !== null) sending.within(Math.max(0, next - app.clock.now()))
  })
  const unsubscribe = app.stream.subscribe((rows) => {
    if (rows.some((row) => row.kind === 'delayed_event')) sending.now()
  })
  return {
    stop() {
      unsubscribe()
      return sending.stop()
    },
  }
}
