import type { App } from '../../app.ts'
import { hasPushers } from '../../storage/push/pushers.ts'
import { createFollower } from './follow-stream.ts'
import { createPushSender, type SendCapabilities } from './send-pushes.ts'

/** How often to look whether another process has died, or a pusher has rested long enough. */
const LOOK_MS = 1000
const CAUSES: readonly string[] = ['event', 'receipt']

/**
 * Follows the stream and notifies push gateways: one process at a time puts what happens to the rules of users with
 * pushers and queues what is to be sent, any process sends. Where nobody has a pusher nothing is done. `stop` waits for
 * what is under way.
 */
export async function startPush(app: SendCapabilities): Promise<{ stop(): Promise<void> }> {
  let isNeeded = await hasPushers(app.database)

  const follower = createFollower(app)
  const sender = createPushSender(app)
  const send = repeated(app, () => sender.begin(send))
  const follow = repeated(app, async () => {
    if (await follower.follow()) send()
  })
  const stopListening = app.stream.subscribe((rows) => {
    if (rows.some((row) => row.kind === 'pusher')) isNeeded = true
    if (isNeeded && !follower.isOther() && rows.some((row) => CAUSES.includes(row.kind))) follow()
  })
  const timer = setInterval(() => {
    if (!isNeeded) return
    follow()
    send()
  }, LOOK_MS)

  return {
    async stop() {
      stopListening()
      clearInterval(timer)
      await follow.ended()
      await send.ended()
      await sender.ended()
      await follower.release()
    },
  }
}

type Repeated = { (): void; ended(): Promise<void> }

/** Runs work whenever it is called; calls while it is under way make it run once more. */
function repeated({ logger, stopping }: Pick<App, 'logger' | 'stopping'>, work: () => Promise<void>): Repeated {
  let underWay: Promise<void> | undefined
  let again = false
  const run = async () => {
    do {
      again = false
      await work().catch((error) => logger.error({ err: error }, 'notifying push gateways failed'))
    } while (again && !stopping.aborted)
    underWay = undefined
  }
  const start = () => {
    if (stopping.aborted) return
    again = true
    underWay ??= run()
  }
  return Object.assign(start, { ended: () => underWay ?? Promise.resolve() })
}
