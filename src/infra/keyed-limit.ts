import { createConcurrencyLimit } from './concurrency-limit.ts'

type Queue = { limit: ReturnType<typeof createConcurrencyLimit>; size: number }

export type KeyedLimit<Key> = <Result>(key: Key, work: () => Promise<Result>) => Promise<Result> | undefined

/**
 * Runs work of many keys: of each key `limit` at a time, the rest in order, and no more than `size` of it at all. undefined for what is beyond.
 */
export function createKeyedLimit<Key>({ limit, size }: { limit: number; size: number }): KeyedLimit<Key> {
  const queues = new Map<Key, Queue>()
  return (key, work) => {
    const queue = queues.get(key) ?? { limit: createConcurrencyLimit(limit), size: 0 }
    if (queue.size >= size) return undefined
    queues.set(key, queue)
    queue.size++
    return queue.limit(work).finally(() => {
      queue.size--
      if (queue.size === 0) queues.delete(key)
    })
  }
}
