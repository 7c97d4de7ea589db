/** A queue that returns the smallest item first, in logarithmic time. */
export type PriorityQueue<Item> = { push(item: Item): void; pop(): Item | undefined }

/** A binary heap ordered by `compare`. */
export function priorityQueue<Item>(compare: (a: Item, b: Item) => number): PriorityQueue<Item> {
  const heap: Item[] = []

  function push(item: Item): void {
    let index = heap.push(item) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (compare(heap[parent]!, item) <= 0) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = item
  }

  function pop(): Item | undefined {
    const top = heap[0]
    const last = heap.pop()
    if (last !== undefined && heap.length > 0) sink(last)
    return top
  }

  /** Puts `item` at the root and moves it down to its place. */
  function sink(item: Item): void {
    let index = 0
    for (let child = 1; child < heap.length; child = 2 * index + 1) {
      if (child + 1 < heap.length && compare(heap[child + 1]!, heap[child]!) < 0) child++
      if (compare(item, heap[child]!) <= 0) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = item
  }

  return { push, pop }
}
