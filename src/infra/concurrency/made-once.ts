/**
 * Returns a value that belongs to a key and is created on first use. So a running server has one of something that
 * belongs to one of its capabilities.
 */
export function madeOnce<Key extends object, Made extends object>(
  known: WeakMap<Key, Made>,
  key: Key,
  make: () => Made,
): Made {
  const found = known.get(key)
  if (found) return found
  const made = make()
  known.set(key, made)
  return made
}
