import type { Db } from './database.ts'

/** Loads values by key; missing keys are absent from the result. */
type Load<Key, Value> = (db: Db, keys: Key[]) => Promise<Map<Key, Value>>

type Batch<Key, Value> = { keys: Key[]; callers: number; values: Promise<Map<Key, Value>> }
type UnderWay<Key, Value> = {
  version: number
  byKey: Map<Key, Batch<Key, Value>>
  /** The batch that has not started yet. */
  next: Batch<Key, Value> | undefined
}

type Sharing = {
  /** For immutable data: a caller that requests a key that is being read shares that read. */
  whileReading?: boolean
  /** When this number changes, reads that started before are no longer shared with new callers. */
  versionOf?(db: Db): number
  /** The maximum of keys per query: while the database works on one, the results of others are processed. */
  most?: number
  /** Which callers share a query: all of one turn of the event loop, or all whose requests have arrived by its end. */
  of?: 'turn' | 'arrivals'
  /** If a shared query fails, each caller reads its keys alone, so that no caller fails because of another. */
  retriesAlone?: boolean
}

/**
 * Creates a loader whose callers share queries: requests of one turn of the event loop become one query, which starts
 * afterwards. So a hundred syncs that wake for one event read it once. A transaction never shares, because it may see
 * other data.
 */
export function sharedLoads<Key, Value>(load: Load<Key, Value>, sharing: Sharing = {}): LoadShared<Key, Value> {
  const { retriesAlone = false } = sharing
  const batchesOf = createBatches(load, sharing)
  return async (db, keys) => {
    const batches = batchesOf(db, keys)
    try {
      const results = await Promise.all(batches.map(({ values }) => values))
      return new Map(
        keys.flatMap((key) => {
          const values = results.find((result) => result.has(key))
          return values ? [[key, values.get(key)!] as const] : []
        }),
      )
    } catch (error) {
      if (!retriesAlone || batches.every(({ callers }) => callers === 1)) throw error
      return load(db, [...keys])
    }
  }
}

/** As `sharedLoads`, for callers that want one value each; undefined: the key is missing. */
export function sharedLookUp<Key, Value>(load: Load<Key, Value>, sharing: Sharing = {}) {
  const loadShared = sharedLoads(load, sharing)
  return async (db: Db, key: Key): Promise<Value | undefined> => (await loadShared(db, [key])).get(key)
}

type LoadShared<Key, Value> = (db: Db, keys: readonly Key[]) => Promise<Map<Key, Value>>

/** Returns a function that adds a caller's keys to batches, and returns these. */
function createBatches<Key, Value>(
  load: Load<Key, Value>,
  { whileReading = false, versionOf = () => 0, most = Number.POSITIVE_INFINITY, of = 'turn' }: Sharing,
) {
  const connections = new WeakMap<Db['sql'], UnderWay<Key, Value>>()

  function underWayOn(db: Db): UnderWay<Key, Value> {
    const version = versionOf(db)
    const known = connections.get(db.sql)
    if (known?.version === version) return known
    const made: UnderWay<Key, Value> = { version, byKey: new Map(), next: undefined }
    connections.set(db.sql, made)
    return made
  }

  function begin(db: Db, underWay: UnderWay<Key, Value>): Batch<Key, Value> {
    const keys: Key[] = []
    const forget = () => {
      for (const key of keys) underWay.byKey.delete(key)
    }
    const begun = (of === 'turn' ? afterThisTurn() : afterArrivals()).then(() => {
      if (underWay.next === batch) underWay.next = undefined
      if (!whileReading) forget()
      return load(db, keys)
    })
    const batch = { keys, callers: 0, values: whileReading ? begun.finally(forget) : begun }
    return batch
  }

  /** Adds a key to the batch that has not started, or begins one. */
  function add(db: Db, underWay: UnderWay<Key, Value>, key: Key): Batch<Key, Value> {
    if (!underWay.next || underWay.next.keys.length >= most) underWay.next = begin(db, underWay)
    underWay.next.keys.push(key)
    underWay.byKey.set(key, underWay.next)
    return underWay.next
  }

  return (db: Db, keys: readonly Key[]): readonly Batch<Key, Value>[] => {
    const underWay = underWayOn(db)
    const batches = new Set<Batch<Key, Value>>()
    for (const key of keys) batches.add(underWay.byKey.get(key) ?? add(db, underWay, key))
    for (const batch of batches) batch.callers++
    return [...batches]
  }
}

/** Resolves when all work that does not wait for I/O is done. */
function afterThisTurn(): Promise<void> {
  return new Promise((resolve) => Promise.resolve().then(() => process.nextTick(resolve)))
}

function afterArrivals(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
