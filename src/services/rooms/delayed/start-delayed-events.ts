import type { App } from '../../../app.ts'
import { firstReady } from '../../../storage/rooms/delayed-events.ts'
import { sendDueEvents } from './send-due-events.ts'

/** The longest time between two looks, for clocks of processes differ. */
const LOOK_MS = 10_000
const AFTER_TROUBLE_MS = 1000

/** Sends delayed events when they are due, as all processes of the server do. `stop` waits for what is under way. */
export function startDelayedEvents(app: App): { stop(): Promise<void> } {
  let timer: NodeJS.Timeout | undefined
  let underWay: Promise<void> | undefined
  let again = false

  async function work(): Promise<void> {
    do {
      again = false
      const rest = await sendAndLook(app)
      if (!again && !app.stopping.aborted) timer = setTimeout(look, rest)
    } while (again && !app.stopping.aborted)
    underWay = undefined
  }

  function look(): void {
    clearTimeout(timer)
    again = true
    underWay ??= work()
  }

  const stopListening = app.stream.subscribe((rows) => {
    if (rows.some((row) => row.kind === 'delayed_event')) look()
  })
  look()
  return {
    async stop() {
      stopListening()
      await underWay
      clearTimeout(timer)
    },
  }
}

/** Sends what is due; returns for how many milliseconds there is nothing to do. */
async function sendAndLook(app: App): Promise<number> {
  try {
    await sendDueEvents(app)
    const next = await firstReady(app.database)
    return next === null ? LOOK_MS : Math.min(Math.max(0, next - app.clock.now()), LOOK_MS)
  } catch (error) {
    app.logger.error({ err: error }, 'looking for delayed events failed')
    return AFTER_TROUBLE_MS
  }
}
