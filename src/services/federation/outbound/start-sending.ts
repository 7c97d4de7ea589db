import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'
import { type ActiveWork, createActiveWork } from '../../../infra/concurrency/active-work.ts'
import { startLeasedWorker } from '../../../infra/concurrency/leased-worker.ts'
import { createLeases } from '../../../infra/concurrency/leases.ts'
import { createPace } from '../../../infra/concurrency/pace.ts'
import { repeat } from '../../../infra/concurrency/repeat.ts'
import {
  countOutbox,
  extendLeases,
  findDueDestinations,
  findForgottenDestinations,
  OUTBOX_START,
  type OutboxMark,
  releaseDestinations,
  startCatchUpOfAllDestinations,
} from '../../../storage/federation/destinations.ts'
import { onQueued } from '../../../storage/federation/federation-outbox.ts'
import { createOutboxBatches } from './outbox-batches.ts'
import { type SendingApp, sendTransactions } from './send-transactions.ts'

/** Concurrent destinations. Failed ones have places of their own, so that they do not delay the others. */
const AT_ONCE = 200
const RETRIES_AT_ONCE = 50
/**
 * Staggers the start of requests that are ready at the same time: sending to a room of many servers must not delay
 * client requests.
 */
const STAGGER_MS = 100
/** When a process dies, others take over its destinations after this time. */
const LEASE_MS = 6000
/** Poll interval for ended back-offs and leases of dead processes. */
const LOOK_MS = 1000
/** Poll interval for entries queued by a process that died before sending them. */
const SWEEP_MS = 5000
const FULL_SWEEP = 200
const COUNTED_ROWS = 100_000
const FAILURE = 'outbox worker failed, will retry'

/**
 * Drains the outbox: sends the entries of this process immediately, and those left by others. `stop` aborts requests in
 * flight; other processes continue. https://spec.matrix.org/v1.19/server-server-api/#transactions
 */
export async function startSending(app: SendingApp & Pick<App, 'config'>): Promise<{ stop(): Promise<void> }> {
  if (!app.config.federation.enabled) {
    await app.database.write(startCatchUpOfAllDestinations)
    return { stop: async () => {} }
  }
  app.metrics.watchFederation(() => countOutbox(app.database, COUNTED_ROWS))
  const leases = createLeases(app, LEASE_MS)
  const { mayBegin, haveBegun } = createPace(STAGGER_MS)
  const outbox = createOutboxBatches(app, { leases, haveBegun })
  /** Destinations whose entries may be unknown to all processes after an error. */
  const failed = new Set<ServerName>()
  const send = async (destination: ServerName) => {
    try {
      await sendTransactions(app, { outbox, mayBegin, destination })
    } catch (error) {
      failed.add(destination)
      app.logger.error({ err: error, destination }, 'transaction delivery failed')
    }
  }
  const first = createQueue(AT_ONCE, send)
  const retries = createQueue(RETRIES_AT_ONCE, send)
  const sweeps = repeat(app, { every: SWEEP_MS, failure: FAILURE }, createSweep(app, first.add))
  const worker = startLeasedWorker(app, {
    failure: FAILURE,
    lookEvery: LOOK_MS,
    subscribe: () => onQueued(app.database, first.add),
    async look() {
      first.add([...failed])
      failed.clear()
      const free = RETRIES_AT_ONCE - retries.active.size
      if (free > 0) retries.add(await findDueDestinations(app.database, app.clock.now(), free))
    },
    active: {
      get size() {
        return outbox.held().length
      },
      idle: async () => void (await Promise.all([first.drained(), retries.drained()])),
    },
    renew: {
      leaseMs: leases.ms,
      run: () => app.database.writeLazily((tx) => extendLeases(tx, { ...leases.next(), destinations: outbox.held() })),
    },
    release: () => app.database.writeLazily((tx) => releaseDestinations(tx, leases.holder)),
  })
  return {
    async stop() {
      await sweeps.stop()
      await worker.stop()
    },
  }
}

/**
 * Looks for queued entries that no process knows: in all of the outbox at start and from time to time, otherwise only
 * in new entries.
 */
function createSweep(app: SendingApp, found: (destinations: readonly ServerName[]) => void): () => Promise<void> {
  let sweeps = 0
  // Transactions that commit late have lower numbers than earlier commits: the last two sweeps' range is searched
  // again.
  let marks: OutboxMark[] = []
  return async () => {
    if (sweeps++ % FULL_SWEEP === 0) marks = [OUTBOX_START, OUTBOX_START]
    const { destinations, mark } = await findForgottenDestinations(app.database, marks[0]!)
    marks = [...marks.slice(1), mark]
    found(destinations)
  }
}

/**
 * Works on names, each one at a time and a limited number concurrently. A name added during its work is processed
 * again.
 */
function createQueue(limit: number, work: (name: ServerName) => Promise<void>) {
  const waiting = new Set<ServerName>()
  const active: ActiveWork<ServerName, undefined> = createActiveWork()
  let isStopped = false

  function pump(): void {
    for (const name of waiting) {
      if (isStopped || active.size >= limit) return
      if (active.has(name)) continue
      waiting.delete(name)
      active.begin(name, undefined, () => work(name))
      active.ended(name)?.then(pump)
    }
  }

  return {
    add(names: readonly ServerName[]) {
      for (const name of names) waiting.add(name)
      pump()
    },
    active,
    drained() {
      isStopped = true
      return active.idle()
    },
  }
}
