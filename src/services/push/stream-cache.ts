import { LRUCache } from 'lru-cache'
import type { StreamTail } from '../../infra/stream-tail.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'

/** What was read from the database, kept until the stream says that it may have changed. */
export type StreamCache<Value extends object> = {
  /** The value of a key, unless something changed since it was read. */
  get(key: string): Value | undefined
  /** Keeps a value; `readAt`: the stream's position before it was read. */
  set(key: string, value: Value, readAt: number): void
  /** Puts what follows from a value in its place, if that is still the one kept. */
  replace(key: string, old: Value, value: Value): void
}

/**
 * Changes that are remembered one by one; when there are more, everything read before the oldest of them counts as
 * changed.
 */
const KEPT_CHANGES = 20_000

type Options<Value> = {
  /** The size of all values together at most. */
  max: number
  sizeOf(value: Value): number
  /** The name of what a row changes. */
  changedBy(row: StreamRow): string | undefined
  /** By the change of which names the value of a key changes. */
  dependsOn(key: string): readonly string[]
}

/** Makes a cache that follows the stream. */
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
  }
}
