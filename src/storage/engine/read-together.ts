import type { Db } from './database.ts'

/** Callers that wait for one query. */
type Batch<Wanted, Found> = { wanted: Wanted[]; found: Promise<Found[]> }

type Gathering = {
  /** The maximum per query: while the database works on one, the results of others are processed. */
  most: number
  /** Which callers share a query: all of one turn of the event loop, or all whose requests have arrived by its end. */
  of: 'turn' | 'arrivals'
}

/**
 * Creates a reader whose callers share queries, for instance a thousand clients that one message wakes: the fixed cost
 * of a query is paid once. `read` returns results in the order of its input. If a shared query fails, each input is
 * read alone, so that no caller fails because of another. A transaction never shares, because it may see other data.
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

/** Resolves when all work that does not wait for I/O is done. */
export function afterThisTurn(): Promise<void> {
  return new Promise((resolve) => Promise.resolve().then(() => process.nextTick(resolve)))
}

function afterArrivals(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
