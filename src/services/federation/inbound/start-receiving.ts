import type { App } from '../../../app.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import { forgetTransactions } from '../../../storage/federation/federation-inbox.ts'

/** Poll interval for leases of dead processes and for ended back-offs. */
const LOOK_MS = 1000
const RENEW_MS = 5000
const FORGET_MS = 10 * 60_000
/** No server retries a transaction for longer. */
const KEPT_MS = 24 * 60 * 60_000
const FAILURE = 'processing of inbox failed, will retry'

/** Drains the inbox, also that of processes that died. `stop` waits for work in progress. */
export function startReceiving(app: Pick<App, 'database' | 'clock' | 'logger' | 'stopping' | 'inbound'>): {
  stop(): Promise<void>
} {
  const inbox = app.inbound.inbox
  const regularly = (work: () => Promise<unknown>, every: number) => repeat(app, { every, failure: FAILURE }, work)
  const loops = [
    regularly(() => inbox.look(), LOOK_MS),
    regularly(() => inbox.renew(), RENEW_MS),
    regularly(() => app.inbound.unverifiedEvents.retry(), LOOK_MS),
    regularly(() => app.database.write((tx) => forgetTransactions(tx, app.clock.now() - KEPT_MS)), FORGET_MS),
  ]
  return {
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()))
      await inbox.stop()
    },
  }
}
