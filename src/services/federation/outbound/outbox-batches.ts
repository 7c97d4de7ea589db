import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'
import { createConcurrencyLimit } from '../../../infra/concurrency/concurrency-limit.ts'
import { inBatches } from '../../../infra/concurrency/in-batches.ts'
import type { Leases } from '../../../infra/concurrency/leases.ts'
import {
  catchUp,
  failTransaction,
  finishTransactions,
  type NextStep,
  type OutgoingTransaction,
  type SendingFailure,
  takeTransactions,
} from '../../../storage/federation/outgoing-transactions.ts'

/** The database operations of the senders to single destinations. */
export type OutboxBatches = {
  /**
   * Leases a destination, and returns its next transaction; undefined if another process holds the lease, it backs off,
   * or its outbox is empty.
   */
  take(destination: ServerName): Promise<OutgoingTransaction | undefined>
  /** Deletes a delivered transaction and returns the next; undefined: the outbox is empty and the lease is released. */
  finish(destination: ServerName, sent: OutgoingTransaction): Promise<OutgoingTransaction | undefined>
  fail(destination: ServerName, failure: SendingFailure): Promise<void>
  /** Lists the destinations that this process has leased. */
  held(): ServerName[]
}

const MAX_BATCH = 50
/** For statements about one destination, which may wait for a room lock. */
const SINGLE_TURNS = 2

/**
 * Creates the batches. Destinations that are ready at the same time, as after an event in a room of many servers, share
 * transactions: one transaction at a time leases, and one deletes, so that sending does not delay client requests.
 * `leases` are those of this process. `haveBegun` resolves when no request is about to begin: until then, more requests end soon
 * and can join the batch.
 */
export function createOutboxBatches(
  { database, random }: Pick<App, 'database' | 'random'>,
  { leases, haveBegun }: { leases: Leases; haveBegun(): Promise<void> },
): OutboxBatches {
  const inTurn = createConcurrencyLimit(SINGLE_TURNS)
  const named = <Item extends object>(item: Item) => ({ ...item, txnId: random.token(16) })

  const take = inBatches(MAX_BATCH, async (destinations: readonly ServerName[]) => {
    const wanted = [...new Set(destinations)].map((destination) => named({ destination }))
    const steps = await database.write((tx) => takeTransactions(tx, leases.next(), wanted))
    // A concurrent request for the same destination finds it leased.
    return destinations.map((destination) => {
      const step = steps.get(destination)
      steps.delete(destination)
      return step
    })
  })
  const finish = inBatches(
    MAX_BATCH,
    async (finished: readonly { destination: ServerName; sent: OutgoingTransaction }[]) => {
      const steps = await database.write((tx) => finishTransactions(tx, leases.next(), finished.map(named)))
      return finished.map(({ destination }) => steps.get(destination))
    },
    haveBegun,
  )
  const held = new Set<ServerName>()

  /** Returns the next step of a destination. While there is one, this process holds the lease. */
  async function keep(destination: ServerName, asked: () => Promise<NextStep | undefined>) {
    held.add(destination)
    let step: NextStep | undefined
    try {
      step = await asked()
      while (step === 'catch up') {
        step = await inTurn(() => database.write((tx) => catchUp(tx, leases.next(), named({ destination }))))
      }
    } finally {
      if (step === undefined || step === 'catch up') held.delete(destination)
    }
    return step
  }
  return {
    async take(destination) {
      const step = await take(destination)
      return step && keep(destination, async () => step)
    },
    finish: (destination, sent) => keep(destination, () => finish({ destination, sent })),
    fail: (destination, failure) =>
      inTurn(() =>
        database.write((tx) => failTransaction(tx, { destination, holder: leases.holder }, failure)),
      ).finally(() => held.delete(destination)),
    held: () => [...held],
  }
}
