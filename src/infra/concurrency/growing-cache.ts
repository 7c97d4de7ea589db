import { LRUCache } from 'lru-cache'

/** A cache that forgets what was used least recently beyond `most` entries. Unlike with `max`, room is taken for those that there are: for 200,000 it would be 5 MiB. */
export function createGrowingCache<Key extends NonNullable<unknown>, Value extends NonNullable<unknown>>(
  most: number,
): LRUCache<Key, Value> {
  return new LRUCache<Key, Value>({ maxSize: most, sizeCalculation: () => 1 })
}
