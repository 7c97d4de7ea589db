import type { App } from '../../app.ts'
import { startLeasedWorker } from '../../infra/concurrency/leased-worker.ts'
import { firstDueLeave } from '../../storage/rtc/delegated-leaves.ts'
import { createParticipantChecks } from './check-participants.ts'

/** The maximum time between two looks: another process may have died. */
const LOOK_MS = 5000
/** The minimum time: due events that a look leaves are locked by another process, or beyond the limit. */
const PAUSE_MS = 100

/**
 * Restarts or sends the leave events that participants of calls have handed over; every process runs this. Does nothing
 * without LiveKit. `stop` waits for work in progress.
 */
export function startDelegations(app: App): { stop(): Promise<void> } {
  if (app.config.calls.livekit.url === undefined) return { stop: async () => {} }
  const checks = createParticipantChecks(app)
  return startLeasedWorker(app, {
    failure: 'acquiring of delegated leave events failed',
    level: 'error',
    lookEvery: LOOK_MS,
    subscribe: ({ now }) =>
      app.stream.subscribe((rows) => {
        if (rows.some((row) => row.kind === 'delegated_leave')) now()
      }),
    async look({ now, within }) {
      await checks.begin(now)
      const next = await firstDueLeave(app.database, checks.rooms())
      if (next !== null) within(Math.max(PAUSE_MS, next - app.clock.now()))
    },
    active: checks.active,
  })
}
