import type { App } from '../../../app.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import { forgetTransactions } from '../../../storage/federation/federation-inbox.ts'

/** Interval of retries for events whose signatures could not be verified. */
const RETRY_MS = 1000
const FORGET_MS = 10 * 60_000
/** No server retries a transaction for longer. */
const KEPT_MS = 24 * 60 * 60_000
const FAILURE = 'processing of inbox failed, will retry'

/** Drains the inbox, also that of processes that died. `stop` waits for work in progress. */
export function startReceiving(app: Pick<App, 'database' | 'clock' | 'logger' | 'stopping' | 'inbound'>): {
  stop(): Promise<void>
} {
  const inbox = app.inbound.inbox.start()
  const regularly = (every: number, work: () => Promise<unknown>) => repeat(app, { every, failure: FAILURE }, work)
  const loops = [
    regularly(RETRY_MS, () => app.inbound.unverifiedEvents.retry()),
    regularly(FORGET_MS, () => app.database.write((tx) => forgetTransactions(tx, app.clock.now() - KEPT_MS))),
  ]
  return {
    async stop() {
      await Promise.all([inbox, ...loops].map((each) => each.stop()))
    },
  }
}
