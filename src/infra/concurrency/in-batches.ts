type Job<Item, Result> = { item: Item; resolve(result: Result): void; reject(error: unknown): void }

/**
 * Creates a function whose callers share work: all calls of one turn of the event loop, then all calls made while a
 * batch runs, up to `most` at a time. `work` returns results in the order of the items. Items of a failed batch run
 * again one by one, so that no caller fails because of another. Each batch waits for `gathered` first.
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
