import type { App } from '../../../app.ts'
import type { ServerName } from '../../../core/ids.ts'
import { createConcurrencyLimit } from '../../../infra/concurrency/concurrency-limit.ts'
import { inBatches } from '../../../infra/concurrency/in-batches.ts'
import {
  catchUp,
  failTransaction,
  finishTransactions,
  type Lease,
  type NextStep,
  type OutgoingTransaction,
  type SendingFailure,
  takeTransactions,
} from '../../../storage/federation/federation-transactions.ts'

/** What those who send to single destinations ask of the database. */
export type OutboxBatches = {
  /** Takes a destination; undefined while another has it, it rests, or nothing waits. */
  take(destination: ServerName): Promise<OutgoingTransaction | undefined>
  /** Notes that what was sent has been taken; undefined: nothing more waits, and the destination is free. */
  finish(destination: ServerName, sent: OutgoingTransaction): Promise<OutgoingTransaction | undefined>
  fail(destination: ServerName, failure: SendingFailure): Promise<void>
  /** The destinations that this process has. */
  held(): ServerName[]
}

/** Longer than the time between two extensions: when a process dies, another goes on after this. */
export const LEASE_MS = 6000
const MAX_BATCH = 50
/** What concerns one destination only, and may wait for a room. */
const SINGLE_TURNS = 2

/**
 * Destinations that are ready at the same time, as an event for a room of many servers makes them, share transactions:
 * one at a time takes, and one finishes, so that sending keeps nobody waiting who wants an answer. `holder` is this
 * process; `haveBegun` resolves when no request is about to begin: as long as there are some, more have ended soon.
 */
export function createOutboxBatches(
  { database, clock, random }: Pick<App, 'database' | 'clock' | 'random'>,
  { holder, haveBegun }: { holder: string; haveBegun(): Promise<void> },
): OutboxBatches {
  const inTurn = createConcurrencyLimit(SINGLE_TURNS)
  const lease = (): Lease => ({ holder, now: clock.now(), until: clock.now() + LEASE_MS })
  const named = <Item extends object>(item: Item) => ({ ...item, txnId: random.token(16) })

  const take = inBatches(MAX_BATCH, async (destinations: readonly ServerName[]) => {
    const wanted = [...new Set(destinations)].map((destination) => named({ destination }))
    const steps = await database.write((tx) => takeTransactions(tx, lease(), wanted))
    // Who asks for the same one again finds it taken.
    return destinations.map((destination) => {
      const step = steps.get(destination)
      steps.delete(destination)
      return step
    })
  })
  const finish = inBatches(
    MAX_BATCH,
    async (finished: readonly { destination: ServerName; sent: OutgoingTransaction }[]) => {
      const steps = await database.write((tx) => finishTransactions(tx, lease(), finished.map(named)))
      return finished.map(({ destination }) => steps.get(destination))
    },
    haveBegun,
  )
  const held = new Set<ServerName>()

  /** What comes next for a destination; as long as there is something, this process has it. */
  async function keep(destination: ServerName, asked: () => Promise<NextStep | undefined>) {
    held.add(destination)
    let step: NextStep | undefined
    try {
      step = await asked()
      while (step === 'catch up') {
        step = await inTurn(() => database.write((tx) => catchUp(tx, lease(), named({ destination }))))
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
      inTurn(() => database.write((tx) => failTransaction(tx, { destination, holder }, failure))).finally(() =>
        held.delete(destination),
      ),
    held: () => [...held],
  }
}
