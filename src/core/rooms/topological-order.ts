/**
 * Orders things so that each comes after those of them that it refers to. Without recursion, for chains may be as long as a peer likes; where
 * references go in a circle, which hashes prevent for events, it is broken somewhere.
 */
export function topologicalOrder<Id, Item>(
  items: ReadonlyMap<Id, Item>,
  referencesOf: (item: Item) => readonly Id[],
): Item[] {
  const ordered: Item[] = []
  const seen = new Set<Id>()
  for (const first of items) {
    const stack = [{ id: first[0], item: first[1], isDone: false }]
    for (let top = stack.pop(); top; top = stack.pop()) {
      if (top.isDone) ordered.push(top.item)
      if (top.isDone || seen.has(top.id)) continue
      seen.add(top.id)
      stack.push({ ...top, isDone: true })
      for (const id of referencesOf(top.item)) {
        const item = items.get(id)
        if (item !== undefined && !seen.has(id)) stack.push({ id, item, isDone: false })
      }
    }
  }
  return ordered
}
