import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'
import { jitteredBackOff } from '../../../infra/concurrency/back-off.ts'
import { DeniedServerError, FederationError } from '../../../infra/federation/federation-error.ts'
import { loadEdus } from '../../../storage/federation/federation-outbox.ts'
import type { OutgoingTransaction } from '../../../storage/federation/outgoing-transactions.ts'
import { loadEvents } from '../../../storage/rooms/timeline/events.ts'
import type { OutboxBatches } from './outbox-batches.ts'

export type SendingApp = Pick<
  App,
  'database' | 'federation' | 'serverName' | 'clock' | 'random' | 'logger' | 'metrics' | 'stopping' | 'outbound'
>

/** `mayBegin` is awaited before each request. */
type Sending = { outbox: OutboxBatches; mayBegin(): Promise<void>; destination: ServerName }

const REQUEST_TIMEOUT_MS = 60_000
const MAX_ANSWER_BYTES = 1_000_000
const BACK_OFF = { first: 1000, longest: 24 * 60 * 60_000 }
const CATCH_UP_AFTER_MS = 60 * 60_000
/** These statuses mean that the transaction is at fault, so that retrying is useless. */
const REFUSALS: readonly (number | undefined)[] = [400, 413, 422]
const PATIENCE = 3

/**
 * Drains the outbox of a destination in order, one transaction at a time, until it is empty or a request fails. Does
 * nothing while another process holds the lease, or the destination backs off.
 * https://spec.matrix.org/v1.19/server-server-api/#transactions
 */
export async function sendTransactions(app: SendingApp, sending: Sending): Promise<void> {
  const { outbox, destination } = sending
  let next = await outbox.take(destination)
  while (next && !app.stopping.aborted) {
    const sent = next
    try {
      await sendOne(app, sending, sent)
    } catch (error) {
      // The next process sends the same transaction again.
      if (app.stopping.aborted) return
      return await backOff(app, sending, { failures: sent.failures, error })
    }
    next = await outbox.finish(destination, sent)
  }
}

async function sendOne(
  app: SendingApp,
  { mayBegin, destination }: Sending,
  transaction: OutgoingTransaction,
): Promise<void> {
  const [events, edus] = await Promise.all([
    loadEvents(app.database, transaction.events),
    loadEdus(app.database, transaction.edus),
  ])
  const pdus = transaction.events.flatMap((nid) => events.get(nid)?.pdu ?? [])
  if (pdus.length === 0 && edus.length === 0) return
  await mayBegin()
  const stopTimer = app.metrics.federationSeconds.startTimer()
  const answer = await app.federation.request({
    destination,
    method: 'PUT',
    path: `/_matrix/federation/v1/send/${transaction.txnId}`,
    content: app.outbound.transactionTexts.textOf({
      origin: app.serverName,
      origin_server_ts: app.clock.now(),
      pdus,
      edus,
    }),
    timeoutMs: REQUEST_TIMEOUT_MS,
    maxBytes: MAX_ANSWER_BYTES,
    signal: app.stopping,
  })
  stopTimer()
  app.metrics.federationTransactions.inc({ result: 'sent' })
  app.metrics.federationSent.inc({ kind: 'pdu' }, pdus.length)
  app.metrics.federationSent.inc({ kind: 'edu' }, edus.length)
  reportRefused(app, destination, answer)
}

/** Errors of single events are logged for administrators; nothing can be done about them. */
function reportRefused(app: SendingApp, destination: ServerName, answer: unknown): void {
  const results = (answer as { pdus?: unknown } | null)?.pdus
  if (typeof results !== 'object' || results === null) return
  for (const [event_id, result] of Object.entries(results)) {
    const error = (result as { error?: unknown } | null)?.error
    if (error !== undefined) app.logger.info({ destination, event_id, error }, 'event rejected by remote server')
  }
}

async function backOff(
  app: SendingApp,
  { outbox, destination }: Sending,
  { failures, error }: { failures: number; error: unknown },
): Promise<void> {
  const refusal = error instanceof FederationError ? error : undefined
  const now = app.clock.now()
  // Only the rooms are marked from now on, in case that the server is allowed again.
  if (error instanceof DeniedServerError) {
    const retryAt = now + BACK_OFF.longest
    return await outbox.fail(destination, { now, retryAt, catchUpIfBefore: now, isRefused: true })
  }
  app.metrics.federationTransactions.inc({ result: 'failed' })
  app.logger.info({ err: error, destination, failures: failures + 1 }, 'transaction delivery failed, will retry')
  const pause = Math.max(
    jitteredBackOff(failures, BACK_OFF, app.random),
    Math.min(refusal?.retryAfterMs ?? 0, BACK_OFF.longest),
  )
  await outbox.fail(destination, {
    now,
    retryAt: now + pause,
    catchUpIfBefore: now - CATCH_UP_AFTER_MS,
    isRefused: REFUSALS.includes(refusal?.status) && failures >= PATIENCE,
  })
}
