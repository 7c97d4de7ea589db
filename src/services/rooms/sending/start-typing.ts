import type { App } from '../../../app.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import { expireTyping, nextTypingExpiry } from '../../../storage/rooms/typing.ts'

const RETRY_MS = 1000

/**
 * Expires typing notifications, whichever process received them: that one may have died, or this one restarted.
 *
 * `stop` waits for work in progress.
 */
export function startTypingExpiry(app: Pick<App, 'database' | 'clock' | 'logger' | 'stream' | 'stopping'>): {
  stop(): Promise<void>
} {
  const expiry = repeat(app, { retry: RETRY_MS, failure: 'expiry of typing failed, will retry' }, async () => {
    await app.database.writeLazily((tx) => expireTyping(tx, app.clock.now()))
    // A user who continues typing has a later expiry than the stream shows.
    const next = await nextTypingExpiry(app.database)
    if (next !== undefined) wakeAt(next)
  })
  const wakeAt = (at: number) => expiry.within(Math.max(at - app.clock.now(), 0) + 1)
  const unsubscribe = app.stream.subscribe((rows) => {
    for (const { kind, ref } of rows) if (kind === 'typing' && ref !== null) wakeAt(ref)
  })
  return {
    stop() {
      unsubscribe()
      return expiry.stop()
    },
  }
}
