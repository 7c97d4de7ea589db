type Job<Item, Result> = { item: Item; resolve(result: Result): void; reject(error: unknown): void }

/**
 * Makes a function whose callers share work: all who call in one turn of the event loop, then all who call while that is under way, up to `most` at
 * a time. `work` answers in the order of the items. What fails together is done again one by one, so that nobody fails by another. `gathered` is
 * waited for before each batch.
 */
export function inBatches<Item, Result>(
  most: number,
  work: (items: readonly Item[]) => Promise<readonly Result[]>,
  gathered: () => Promise<void> = () => Promise.resolve(),
): (item: Item) => Promise<Result> {
  let waiting: Job<Item, Result>[] = []
  let isBusy = false

  async function workOff(): Promise<void> {
    while (waiting.length > 0) {
      await gathered()
      const batch = waiting.slice(0, most)
      waiting = waiting.slice(most)
      await workOn(batch)
    }
    isBusy = false
  }

  async function workOn(batch: readonly Job<Item, Result>[]): Promise<void> {
    try {
      const results = await work(batch.map(({ item }) => item))
      for (const [place, { resolve }] of batch.entries()) resolve(results[place]!)
    } catch (error) {
      if (batch.length === 1) return batch[0]!.reject(error)
      for (const job of batch) await workOn([job])
    }
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (isBusy) return
      isBusy = true
      setImmediate(workOff)
    })
}
