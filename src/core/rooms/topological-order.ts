/**
 * Sorts items so that each follows the items that it references. Iterative, because peers can send chains of any
 * length. A cycle, which hashes prevent for events, is broken at some place.
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
