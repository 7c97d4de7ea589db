/** Runs at most `limit` works at a time; the others wait in order. */
export function createConcurrencyLimit(limit: number): <Result>(work: () => Promise<Result>) => Promise<Result> {
  let running = 0
  const waiting: (() => void)[] = []
  return async (work) => {
    if (running < limit) running++
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      // A slot passes directly to the next in line.
      const next = waiting.shift()
      if (next) next()
      else running--
    }
  }
}
