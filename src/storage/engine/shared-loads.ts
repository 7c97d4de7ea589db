import type { Db } from './database.ts'
import { afterThisTurn } from './read-together.ts'

/** Loads values by key; missing keys are absent from the result. */
type Load<Key, Value> = (db: Db, keys: Key[]) => Promise<Map<Key, Value>>

type Batch<Key, Value> = { keys: Key[]; values: Promise<Map<Key, Value>> }
type UnderWay<Key, Value> = {
  version: number
  byKey: Map<Key, Batch<Key, Value>>
  /** The batch that has not started yet. */
  next: Batch<Key, Value> | undefined
}

type Sharing = {
  /** For immutable data: a caller that requests a key that is being read shares that read. */
  whileReading: boolean
  /** When this number changes, reads that started before are no longer shared with new callers. */
  versionOf?(db: Db): number
}

/**
 * Creates a loader whose callers share queries: requests of one turn of the event loop become one query, which starts
 * afterwards. So a hundred syncs that wake for one event read it once. A transaction never shares, because it may see
 * other data.
 */
export function sharedLoads<Key, Value>(load: Load<Key, Value>, { whileReading, versionOf = () => 0 }: Sharing) {
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
    const begun = afterThisTurn().then(() => {
      if (underWay.next === batch) underWay.next = undefined
      if (!whileReading) forget()
      return load(db, keys)
    })
    const batch = { keys, values: whileReading ? begun.finally(forget) : begun }
    return batch
  }

  return async (db: Db, keys: readonly Key[]): Promise<Map<Key, Value>> => {
    const underWay = underWayOn(db)
    const batches = new Set<Batch<Key, Value>>()
    for (const key of keys) {
      let batch = underWay.byKey.get(key)
      if (!batch) {
        underWay.next ??= begin(db, underWay)
        batch = underWay.next
        batch.keys.push(key)
        underWay.byKey.set(key, batch)
      }
      batches.add(batch)
    }
    const results = await Promise.all([...batches].map(({ values }) => values))
    return new Map(
      keys.flatMap((key) => {
        const values = results.find((result) => result.has(key))
        return values ? [[key, values.get(key)!] as const] : []
      }),
    )
  }
}
