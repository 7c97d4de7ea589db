import { LRUCache } from 'lru-cache'
import type { App } from '../../../app.ts'
import { madeOnce } from '../../../infra/concurrency/made-once.ts'
import type { StreamRow } from '../../../storage/schema/stream.ts'

type Reading = Pick<App, 'database' | 'stream'>

/** Things kept of a kind. */
const KEPT = 20_000

/**
 * Remembers what is read with nearly every answer and changes seldom. `placeOf` names what is wanted, `changedBy` what
 * a row of the stream changes: that is forgotten, so what comes back is never older than the stream's position in this
 * process.
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
  const known = new WeakMap<App['stream'], LRUCache<string, Promise<Value>>>()

  function knownTo(app: Reading): LRUCache<string, Promise<Value>> {
    return madeOnce(known, app.stream, () => {
      const made = new LRUCache<string, Promise<Value>>({ max: KEPT })
      app.stream.subscribe((rows) => {
        for (const row of rows) {
          const place = changedBy(row)
          if (place !== undefined) made.delete(place)
        }
      })
      return made
    })
  }

  return (app, key) => {
    const cache = knownTo(app)
    const place = placeOf(key)
    const found = cache.get(place)
    if (found) return found
    // Remembered before it is read: news that come meanwhile make it forgotten.
    const value = load(app, key)
    cache.set(place, value)
    value.catch(() => {
      if (cache.peek(place) === value) cache.delete(place)
    })
    return value
  }
}
