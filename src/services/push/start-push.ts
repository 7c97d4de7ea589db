import { repeat } from '../../infra/concurrency/repeat.ts'
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

  const options = { every: LOOK_MS, first: LOOK_MS, failure: 'push delivery failed', level: 'error' } as const
  const follower = createFollower(app)
  const sender = createPushSender(app)
  const send = repeat(app, options, async () => {
    if (isNeeded) await sender.begin(send.now)
  })
  const follow = repeat(app, options, async () => {
    if (isNeeded && (await follower.follow())) send.now()
  })
  const stopListening = app.stream.subscribe((rows) => {
    if (rows.some((row) => row.kind === 'pusher')) isNeeded = true
    if (isNeeded && !follower.isOther() && rows.some((row) => CAUSES.includes(row.kind))) follow.now()
  })
  return {
    async stop() {
      stopListening()
      await follow.stop()
      await send.stop()
      await sender.ended()
      await follower.release()
    },
  }
}
