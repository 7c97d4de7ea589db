import type { App } from '../../app.ts'
import type { Appservice } from '../../core/appservice.ts'
import {
  type AppserviceProgress,
  type AppserviceTransaction,
  advanceAppservice,
  finishTransaction,
  leaseAppservice,
  loadRowsOfKinds,
  releaseAppservice,
  restAppservice,
  storeTransaction,
} from '../../storage/appservices.ts'
import type { StreamRow } from '../../storage/stream-schema.ts'
import { gatherNews } from './gather-news.ts'
import { type Interest, kindsFor, loadInterest } from './interest.ts'
import { introduceUsers } from './introduce-users.ts'
import { transactionBody } from './transaction-body.ts'

export type SendingApp = Pick<
  App,
  'config' | 'database' | 'appservices' | 'clock' | 'random' | 'logger' | 'metrics' | 'stopping'
>

/** Tells one application service what happens, while this process has it. */
export type Teller = {
  /** Takes the application service if no other process has it, and tells it all that it has not been told; returns when there is no more, or it rests. */
  tell(): Promise<void>
  /** Keeps it while a request takes long. */
  keep(): Promise<void>
  /** Whether there is something to do about these rows of the stream; those of no interest are passed over at once. */
  concerns(rows: readonly StreamRow[]): boolean
  /** Lets another process go on at once. */
  release(): Promise<void>
}

/** Longer than the time between two calls of `keep`: when a process dies, another goes on after this. */
const LEASE_MS = 6000
const ROWS_AT_ONCE = 500
const REQUEST_TIMEOUT_MS = 60_000
const FIRST_REST_MS = 1000
const LONGEST_REST_MS = 5 * 60_000

/** What this process knows of an application service that it has. */
type Held = AppserviceProgress & { until: number; interest: Interest; isCurrent: boolean }

export function createTeller(app: SendingApp, appservice: Appservice): Teller {
  const id = { appserviceId: appservice.id, holder: app.random.token(12) }
  const kinds = kindsFor(appservice)
  let held: Held | undefined
  let isTelling = false
  let lastTxn = 0

  /** A number that grows: some application services expect that of ids, as of Synapse's. A database that was restored from a backup gives none twice. */
  function nextTxnId(): string {
    lastTxn = Math.max(app.clock.now(), lastTxn + 1)
    return String(lastTxn)
  }

  /** Takes the application service, or keeps it. */
  async function take(): Promise<Held | undefined> {
    const before = held
    const now = app.clock.now()
    const until = now + LEASE_MS
    const lease = { ...id, now, until, kept: before?.position }
    const progress = await app.database.write((tx) => leaseAppservice(tx, lease))
    if (!progress) {
      lose()
    } else if (held && held === before) {
      Object.assign(held, { until, retryTs: progress.retryTs, failures: progress.failures })
    } else if (!before) {
      held = { ...progress, until, interest: await loadInterest(app.database, appservice), isCurrent: true }
    }
    return held
  }

  function lose(): void {
    if (held) held.isCurrent = false
    held = undefined
  }

  /** The next transaction, stored; undefined: there is nothing to tell any more. */
  async function next(own: Held): Promise<AppserviceTransaction | undefined> {
    while (own.isCurrent && !app.stopping.aborted) {
      const read = await loadRowsOfKinds(app.database, { after: own.position, kinds, limit: ROWS_AT_ONCE })
      if (read.to === own.position) return undefined
      const { to_device: bytes } = app.config.limits.answers
      const reader = { appserviceId: appservice.id, interest: own.interest }
      const news = await gatherNews(app.database, reader, { ...read, bytes })
      const { position, members } = news
      const { body, messages } = await transactionBody(app, appservice, news)
      if (body !== undefined) {
        const transaction = { txnId: nextTxnId(), body, position, messages }
        const isStored = await app.database.write((tx) => storeTransaction(tx, id, { transaction, members }))
        if (isStored) return transaction
        lose()
      } else {
        const isOurs =
          members.length === 0 || (await app.database.write((tx) => advanceAppservice(tx, id, { position, members })))
        if (!isOurs) lose()
        own.position = position
      }
    }
    return undefined
  }

  async function send({ txnId, body }: AppserviceTransaction): Promise<void> {
    await introduceUsers(app, appservice, body)
    const path = `/transactions/${txnId}`
    const request = { method: 'PUT', path, legacyPath: path, body, timeoutMs: REQUEST_TIMEOUT_MS } as const
    const { status } = await app.appservices.request(appservice, { ...request, signal: app.stopping })
    if (status < 200 || status > 299) throw new Error(`the application service answers ${status}`)
    app.metrics.appserviceTransactions.inc({ appservice: appservice.id, result: 'sent' })
  }

  async function rest(own: Held, error: unknown): Promise<void> {
    const { failures } = own
    const level = failures === 0 ? 'warn' : 'info'
    app.metrics.appserviceTransactions.inc({ appservice: appservice.id, result: 'failed' })
    app.logger[level](
      { err: error, appservice: appservice.id, failures: failures + 1 },
      'sending to an application service failed; it is tried again',
    )
    own.failures++
    own.retryTs = app.clock.now() + Math.min(FIRST_REST_MS * 2 ** Math.min(failures, 30), LONGEST_REST_MS)
    await app.database.write((tx) => restAppservice(tx, id, own.retryTs))
  }

  /** Sends one transaction; returns whether to go on. */
  async function tellNext(own: Held): Promise<boolean> {
    own.transaction ??= await next(own)
    const { transaction } = own
    if (!transaction || !own.isCurrent) return false
    try {
      await send(transaction)
    } catch (error) {
      // Whoever goes on sends the same again.
      if (!app.stopping.aborted) await rest(own, error)
      return false
    }
    const isFinished = await app.database.write((tx) => finishTransaction(tx, id, transaction))
    if (!isFinished) lose()
    Object.assign(own, { position: transaction.position, transaction: undefined, failures: 0, retryTs: 0 })
    return own.isCurrent
  }

  return {
    async tell() {
      isTelling = true
      try {
        // One that slept may find that others went on without it.
        if (held && held.until <= app.clock.now()) await take()
        const own = held ?? (await take())
        while (own?.isCurrent && own.retryTs <= app.clock.now() && !app.stopping.aborted && (await tellNext(own)));
      } catch (error) {
        // What was noted in memory may not be what is stored.
        lose()
        throw error
      } finally {
        isTelling = false
      }
    },
    async keep() {
      if (held) await take()
    },
    concerns(rows) {
      if (!held || held.transaction) return false
      const isNext = !isTelling && rows[0]!.stream_position === held.position + 1
      if (!isNext || rows.some(held.interest.mayConcern)) return true
      held.position = rows.at(-1)!.stream_position
      return false
    },
    async release() {
      const position = held?.position ?? 0
      lose()
      await app.database.write((tx) => releaseAppservice(tx, id, position))
    },
  }
}
