import type { App } from '../../../app.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'
import { createStreamCache, type StreamCache } from '../../../infra/stream-cache.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'

type Reading = Pick<App, 'database' | 'stream'>

/** Number of entries cached per kind. */
const KEPT = 20_000

/**
 * Caches data that nearly every response reads and that changes seldom. `placeOf` returns the cache key, `changedBy`
 * the key that a stream row invalidates, so that results are never older than this process's stream position.
 */
export function remembered<Key, Value>({
  load,
  placeOf,
  changedBy,
}: {
  load(app: Reading, key: Key): Promise<Value>
  placeOf(key: Key): string
  changedBy(row: StreamRow): string | undefined
}): (app: Reading, key: Key) => Promise<Value> {
  const options = { max: KEPT, sizeOf: () => 1, changedBy, dependsOn: (place: string) => [place] }
  const known = new WeakMap<App['stream'], StreamCache<Promise<Value>>>()

  function knownTo(app: Reading): StreamCache<Promise<Value>> {
    return madeOnce(known, app.stream, () => createStreamCache<Promise<Value>>(app.stream, options))
  }

  return (app, key) => {
    const cache = knownTo(app)
    const place = placeOf(key)
    const found = cache.get(place)
    if (found) return found
    const readAt = app.stream.position()
    const value = load(app, key)
    cache.set(place, value, readAt)
    value.catch(() => cache.drop(place, value))
    return value
  }
}
