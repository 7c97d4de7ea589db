import type { App } from '../../app.ts'
import type { Appservice } from '../../core/appservice.ts'
import { jitteredBackOff } from '../../infra/concurrency/back-off.ts'
import { createLeases, type Leases } from '../../infra/concurrency/leases.ts'
import {
  type AppserviceProgress,
  type AppserviceTransaction,
  advanceAppservice,
  finishTransaction,
  leaseAppservice,
  loadRowsOfKinds,
  releaseAppservice,
  restAppservice,
  storeNextTransaction,
} from '../../storage/appservices/appservices.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'
import { gatherNews } from './gather-news.ts'
import { type Interest, kindsFor, loadInterest } from './interest.ts'
import { introduceUsers } from './introduce-users.ts'
import { transactionBody } from './transaction-body.ts'

export type TransactionSenderApp = Pick<
  App,
  'config' | 'database' | 'appservices' | 'clock' | 'random' | 'logger' | 'metrics' | 'stopping' | 'reading'
>

/** Sends transactions to one application service while this process holds its lease. */
export type TransactionSender = {
  /** Acquires the lease if no other process holds it, and drains the queue. Resolves when it is empty or backs off. */
  drain(): Promise<void>
  /** Renews the lease during long requests. */
  renew(): Promise<void>
  /** Returns whether any of these stream rows is of interest; others are skipped immediately. */
  concerns(rows: readonly StreamRow[]): boolean
  /** Releases the lease, so that another process can continue. */
  release(): Promise<void>
}

/** Longer than the interval of `renew`: when a process dies, another takes over after this time. */
export const LEASE_MS = 6000
const ROWS_AT_ONCE = 500
const REQUEST_TIMEOUT_MS = 60_000
const BACK_OFF = { first: 1000, longest: 5 * 60_000 }

/** The state of a leased application service in this process. */
type Held = AppserviceProgress & { until: number; interest: Interest; isCurrent: boolean }

export function createTransactionSender(app: TransactionSenderApp, appservice: Appservice): TransactionSender {
  return new LeasedSender(app, appservice)
}

class LeasedSender implements TransactionSender {
  readonly #app: TransactionSenderApp
  readonly #appservice: Appservice
  readonly #leases: Leases
  readonly #id: { appserviceId: string; holder: string }
  readonly #kinds: ReturnType<typeof kindsFor>
  #held: Held | undefined
  #isSending = false
  #lastTxn = 0

  constructor(app: TransactionSenderApp, appservice: Appservice) {
    this.#app = app
    this.#appservice = appservice
    this.#leases = createLeases(app, LEASE_MS)
    this.#id = { appserviceId: appservice.id, holder: this.#leases.holder }
    this.#kinds = kindsFor(appservice)
  }

  async drain(): Promise<void> {
    this.#isSending = true
    try {
      // After a stall, another process may hold the lease.
      if (this.#held && this.#held.until <= this.#app.clock.now()) await this.#take()
      const own = this.#held ?? (await this.#take())
      while (
        own?.isCurrent &&
        own.retryTs <= this.#app.clock.now() &&
        !this.#app.stopping.aborted &&
        (await this.#sendNext(own))
      );
    } catch (error) {
      // The state in memory may differ from the stored one.
      this.#lose()
      throw error
    } finally {
      this.#isSending = false
    }
  }

  async renew(): Promise<void> {
    if (this.#held) await this.#take()
  }

  concerns(rows: readonly StreamRow[]): boolean {
    if (!this.#held || this.#held.transaction) return false
    const isNext = !this.#isSending && rows[0]!.stream_position === this.#held.position + 1
    if (!isNext || rows.some(this.#held.interest.mayConcern)) return true
    this.#held.position = rows.at(-1)!.stream_position
    return false
  }

  async release(): Promise<void> {
    const position = this.#held?.position ?? 0
    this.#lose()
    await this.#app.database.write((tx) => releaseAppservice(tx, this.#id, position))
  }

  /**
   * Returns an increasing number, as some application services expect of transaction IDs, as in Synapse. It also
   * increases across a restore from a backup.
   */
  #nextTxnId(): string {
    this.#lastTxn = Math.max(this.#app.clock.now(), this.#lastTxn + 1)
    return String(this.#lastTxn)
  }

  /** Acquires or renews the lease. */
  async #take(): Promise<Held | undefined> {
    const before = this.#held
    const { until, ...next } = this.#leases.next()
    const lease = { ...this.#id, ...next, until, kept: before?.position }
    const progress = await this.#app.database.write((tx) => leaseAppservice(tx, lease))
    if (!progress) {
      this.#lose()
    } else if (this.#held && this.#held === before) {
      Object.assign(this.#held, { until, retryTs: progress.retryTs, failures: progress.failures })
    } else if (!before) {
      this.#held = {
        ...progress,
        until,
        interest: await loadInterest(this.#app.database, this.#appservice),
        isCurrent: true,
      }
    }
    return this.#held
  }

  #lose(): void {
    if (this.#held) this.#held.isCurrent = false
    this.#held = undefined
  }

  /** Returns the next transaction, stored; undefined if there is none. */
  async #next(own: Held): Promise<AppserviceTransaction | undefined> {
    while (own.isCurrent && !this.#app.stopping.aborted) {
      const read = await loadRowsOfKinds(this.#app.database, {
        after: own.position,
        kinds: this.#kinds,
        limit: ROWS_AT_ONCE,
      })
      if (read.to === own.position) return undefined
      const { to_device: bytes } = this.#app.config.limits.answers
      const reader = { appserviceId: this.#appservice.id, interest: own.interest }
      const news = await gatherNews(this.#app.database, reader, { ...read, bytes })
      const { position, members } = news
      const { body, messages } = await transactionBody(this.#app, this.#appservice, news)
      if (body !== undefined) {
        const transaction = { txnId: this.#nextTxnId(), body, position, messages }
        const isStored = await this.#app.database.write((tx) =>
          storeNextTransaction(tx, this.#id, { transaction, members }),
        )
        if (isStored) return transaction
        this.#lose()
      } else {
        const isOurs =
          members.length === 0 ||
          (await this.#app.database.write((tx) => advanceAppservice(tx, this.#id, { position, members })))
        if (!isOurs) this.#lose()
        own.position = position
      }
    }
    return undefined
  }

  async #send({ txnId, body }: AppserviceTransaction): Promise<void> {
    await introduceUsers(this.#app, this.#appservice, body)
    const path = `/transactions/${txnId}`
    const request = { method: 'PUT', path, legacyPath: path, body, timeoutMs: REQUEST_TIMEOUT_MS } as const
    const { status } = await this.#app.appservices.request(this.#appservice, { ...request, signal: this.#app.stopping })
    if (status < 200 || status > 299) throw new Error(`the application service answers ${status}`)
    this.#app.metrics.appserviceTransactions.inc({ appservice: this.#appservice.id, result: 'sent' })
  }

  async #backOff(own: Held, error: unknown): Promise<void> {
    const { failures } = own
    const level = failures === 0 ? 'warn' : 'info'
    this.#app.metrics.appserviceTransactions.inc({ appservice: this.#appservice.id, result: 'failed' })
    this.#app.logger[level](
      { err: error, appservice: this.#appservice.id, failures: failures + 1 },
      'appservice transaction delivery failed, will retry',
    )
    own.failures++
    own.retryTs = this.#app.clock.now() + jitteredBackOff(failures, BACK_OFF, this.#app.random)
    await this.#app.database.write((tx) => restAppservice(tx, this.#id, own.retryTs))
  }

  /** Sends one transaction, and returns whether to continue. */
  async #sendNext(own: Held): Promise<boolean> {
    own.transaction ??= await this.#next(own)
    const { transaction } = own
    if (!transaction || !own.isCurrent) return false
    try {
      await this.#send(transaction)
    } catch (error) {
      // The next process sends the same transaction again.
      if (!this.#app.stopping.aborted) await this.#backOff(own, error)
      return false
    }
    const isFinished = await this.#app.database.write((tx) => finishTransaction(tx, this.#id, transaction))
    if (!isFinished) this.#lose()
    Object.assign(own, { position: transaction.position, transaction: undefined, failures: 0, retryTs: 0 })
    return own.isCurrent
  }
}
