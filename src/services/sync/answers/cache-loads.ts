import { createStreamCache } from '../../../infra/stream-cache.ts'
import type { StreamTail } from '../../../infra/stream-tail.ts'
import type { Db } from '../../../storage/engine/database.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'

/** The sources of cached data. */
export type CacheSources = { database: Db; stream: StreamTail }

/** Number of entries cached per kind. */
const KEPT = 20_000

/**
 * Caches data that nearly every response reads and that changes seldom. `placeOf` returns the cache key, `changedBy`
 * the key that a stream row invalidates, so that results are never older than this process's stream position.
 */
export function cacheLoads<Key, Value>(
  { database, stream }: CacheSources,
  {
    load,
    placeOf,
    changedBy,
  }: {
    load(db: Db, key: Key): Promise<Value>
    placeOf(key: Key): string
    changedBy(row: StreamRow): string | undefined
  },
): (key: Key) => Promise<Value> {
  const cache = createStreamCache<Promise<Value>>(stream, {
    max: KEPT,
    sizeOf: () => 1,
    changedBy,
    dependsOn: (place) => [place],
  })
  return (key) => {
    const place = placeOf(key)
    const found = cache.get(place)
    if (found) return found
    const readAt = stream.position()
    const value = load(database, key)
    cache.set(place, value, readAt)
    value.catch(() => cache.drop(place, value))
    return value
  }
}
