import { LRUCache } from 'lru-cache'

/**
 * A cache that evicts the least recently used entries beyond `most`. Unlike with lru-cache's `max`, memory is allocated
 * only for existing entries: for 200,000 it would be 5 MiB.
 */
export function createGrowingCache<Key extends NonNullable<unknown>, Value extends NonNullable<unknown>>(
  most: number,
): LRUCache<Key, Value> {
  return new LRUCache<Key, Value>({ maxSize: most, sizeCalculation: () => 1 })
}
