import type { Db } from './database.ts'

/** What callers wait for in one query. */
type Batch<Wanted, Found> = { wanted: Wanted[]; found: Promise<Found[]> }

type Gathering = {
  /** In one query at most: while the database works on some, the answers of others are put together. */
  most: number
  /** Who shares a query: all who ask in the same turn of the event loop, or all whose requests have arrived by the time that it turns. */
  of: 'turn' | 'arrivals'
}

/**
 * Makes a reader whose callers share queries, as a thousand clients do who wake for one message: what a query costs, beside what it reads, is paid once.
 * `read` answers in the order of what is wanted. What fails together is read again alone, so that nobody fails by what another wants. A
 * transaction shares with nobody, for it may see other things.
 */
export function readTogether<Wanted, Found>(
  read: (db: Db, wanted: readonly Wanted[]) => Promise<Found[]>,
  { most, of }: Gathering,
): (db: Db, wanted: Wanted) => Promise<Found> {
  const open = new WeakMap<Db['sql'], Batch<Wanted, Found>>()

  function begin(db: Db): Batch<Wanted, Found> {
    const wanted: Wanted[] = []
    const found = (of === 'turn' ? afterThisTurn() : afterArrivals()).then(() => {
      if (open.get(db.sql) === batch) open.delete(db.sql)
      return read(db, wanted)
    })
    const batch = { wanted, found }
    open.set(db.sql, batch)
    return batch
  }

  return async (db, one) => {
    const known = open.get(db.sql)
    const batch = known && known.wanted.length < most ? known : begin(db)
    const place = batch.wanted.push(one) - 1
    try {
      return (await batch.found)[place]!
    } catch (error) {
      if (batch.wanted.length === 1) throw error
      return (await read(db, [one]))[0]!
    }
  }
}

/** When all that can go on without waiting for the outside world has done so. */
export function afterThisTurn(): Promise<void> {
  return new Promise((resolve) => Promise.resolve().then(() => process.nextTick(resolve)))
}

function afterArrivals(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
