const INTERVAL_MS = 5000

/** Prints the last line of progress now and then, for the operator of a long command. Short commands print nothing. */
export function startProgress(): { show(line: string): void; stop(): void } {
  let last: string | undefined
  const timer = setInterval(() => {
    if (last !== undefined) console.error(last)
    last = undefined
  }, INTERVAL_MS)
  return {
    show(line) {
      last = line
    },
    stop: () => clearInterval(timer),
  }
}
