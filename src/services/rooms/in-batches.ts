/** So many rooms of one user change at once: enough to share transactions, few enough to leave room for others. */
const BATCH = 16

/** Does something for each item, a few at a time. */
export async function inBatches<Item>(items: readonly Item[], work: (item: Item) => Promise<void>): Promise<void> {
  for (let start = 0; start < items.length; start += BATCH) {
    await Promise.all(items.slice(start, start + BATCH).map(work))
  }
}
