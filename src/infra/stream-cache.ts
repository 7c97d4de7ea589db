import { LRUCache } from 'lru-cache'
import type { StreamRow } from '../storage/schema/stream.ts'
import type { StreamTail } from './stream-tail.ts'

/** Values read from the database, each kept until a row of the stream says that it may have changed. */
export type StreamCache<Value extends object> = {
  /** Returns the value of a key, unless it was invalidated since it was read. */
  get(key: string): Value | undefined
  /** Stores a value; `readAt`: the stream's position before it was read. */
  set(key: string, value: Value, readAt: number): void
  /** Replaces a value by one that follows from it, if it is still the one kept. */
  replace(key: string, old: Value, value: Value): void
  /** Drops a value, if it is still the one kept. */
  drop(key: string, old: Value): void
}

/** Changes that are noted one by one. Beyond this, every value read before the oldest of them counts as changed. */
const KEPT_CHANGES = 20_000

type Options<Value> = {
  /** The cap of the sum of all sizes. */
  max: number
  sizeOf(value: Value): number
  /** Returns the name of the thing that a row changes. */
  changedBy(row: StreamRow): string | undefined
  /** Returns the names of the things that the value of a key depends on. */
  dependsOn(key: string): readonly string[]
}

/** Creates a cache that follows the stream. */
export function createStreamCache<Value extends object>(
  stream: Pick<StreamTail, 'subscribe'>,
  { max, sizeOf, changedBy, dependsOn }: Options<Value>,
): StreamCache<Value> {
  const values = new LRUCache<string, { value: Value; readAt: number }>({
    maxSize: max,
    sizeCalculation: ({ value }) => sizeOf(value),
  })
  const changes = new Map<string, number>()
  let floor = 0

  stream.subscribe((rows) => {
    for (const row of rows) {
      const name = changedBy(row)
      if (name === undefined) continue
      changes.delete(name)
      changes.set(name, row.stream_position)
    }
    for (const [name, position] of changes) {
      if (changes.size <= KEPT_CHANGES) break
      floor = position
      changes.delete(name)
    }
  })

  return {
    get(key) {
      const kept = values.get(key)
      if (!kept) return undefined
      const isCurrent = kept.readAt >= floor && dependsOn(key).every((name) => kept.readAt >= (changes.get(name) ?? 0))
      return isCurrent ? kept.value : undefined
    },
    set: (key, value, readAt) => values.set(key, { value, readAt }),
    replace(key, old, value) {
      const kept = values.get(key)
      if (kept?.value === old) values.set(key, { value, readAt: kept.readAt })
    },
    drop(key, old) {
      if (values.peek(key)?.value === old) values.delete(key)
    },
  }
}
