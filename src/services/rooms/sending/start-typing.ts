import type { App } from '../../../app.ts'
import { expireTyping, nextTypingExpiry } from '../../../storage/rooms/typing.ts'

const RETRY_MS = 1000

/**
 * Ends typing whose time is over, whichever process was told of it: that one may have died, or it was this one before a
 * restart.
 * `stop` waits for what is under way.
 */
export async function startTypingExpiry(
  app: Pick<App, 'database' | 'clock' | 'logger' | 'stream'>,
): Promise<{ stop(): Promise<void> }> {
  let timer: NodeJS.Timeout | undefined
  let wakesAt = Number.POSITIVE_INFINITY
  let isStopped = false
  let underWay: Promise<void> = Promise.resolve()

  function wakeAt(at: number): void {
    if (isStopped || at >= wakesAt) return
    clearTimeout(timer)
    wakesAt = at
    timer = setTimeout(wake, Math.max(at - app.clock.now(), 0) + 1)
    timer.unref()
  }

  function wake(): void {
    wakesAt = Number.POSITIVE_INFINITY
    underWay = expire().catch((error) => {
      app.logger.warn({ err: error }, 'ending expired typing failed, will retry')
      wakeAt(app.clock.now() + RETRY_MS)
    })
  }

  async function expire(): Promise<void> {
    await app.database.writeLazily((tx) => expireTyping(tx, app.clock.now()))
    // Who goes on typing has a later end than the stream has told.
    const next = await nextTypingExpiry(app.database)
    if (next !== undefined) wakeAt(next)
  }

  const unsubscribe = app.stream.subscribe((rows) => {
    for (const { kind, ref } of rows) if (kind === 'typing' && ref !== null) wakeAt(ref)
  })
  await expire()
  return {
    async stop() {
      isStopped = true
      unsubscribe()
      clearTimeout(timer)
      await underWay
    },
  }
}
