import { startLeasedWorker } from '../../infra/concurrency/leased-worker.ts'
import { hasPushers } from '../../storage/push/pushers.ts'
import { createFollower } from './follow-stream.ts'
import { createPushSender, type SendCapabilities } from './send-pushes.ts'

/** Poll interval for leases of dead processes and for ended back-offs. */
const LOOK_MS = 1000
const CAUSES: readonly string[] = ['event', 'receipt']

/**
 * Follows the stream and notifies push gateways: one process at a time evaluates the rules of users with pushers and
 * queues the pushes; every process sends. Does nothing without pushers. `stop` waits for work in progress.
 */
export async function startPush(app: SendCapabilities): Promise<{ stop(): Promise<void> }> {
  let isNeeded = await hasPushers(app.database)

  const follower = createFollower(app)
  const sender = createPushSender(app)
  const common = {
    failure: 'push delivery failed',
    level: 'error',
    lookEvery: LOOK_MS,
    firstLook: LOOK_MS,
  } as const
  const sending = startLeasedWorker(app, {
    ...common,
    async look() {
      if (isNeeded) await sender.begin(sending.now)
    },
    active: sender.active,
  })
  const following = startLeasedWorker(app, {
    ...common,
    subscribe: ({ now }) =>
      app.stream.subscribe((rows) => {
        if (rows.some((row) => row.kind === 'pusher')) isNeeded = true
        if (isNeeded && !follower.isOther() && rows.some((row) => CAUSES.includes(row.kind))) now()
      }),
    async look() {
      if (isNeeded && (await follower.follow())) sending.now()
    },
    release: follower.release,
  })
  return {
    async stop() {
      await following.stop()
      await sending.stop()
    },
  }
}
