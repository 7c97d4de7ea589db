const INTERRUPTED = 130
const SAME_SIGNAL_MS = 1000

/**
 * Resolves with the first SIGTERM or SIGINT. A later one calls `atOnce` and ends the process at once, unless it follows
 * so closely that it is the same one: npm passes on what the terminal has sent to the whole group.
 */
export function nextStopSignal(atOnce: () => void = () => {}): Promise<void> {
  let firstAt: number | undefined
  return new Promise((resolve) => {
    const stop = () => {
      firstAt ??= Date.now()
      if (Date.now() - firstAt > SAME_SIGNAL_MS) {
        atOnce()
        process.exit(INTERRUPTED)
      }
      resolve()
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}

/** Keeps the process running when the reader of its output closes the pipe. */
export function surviveClosedPipes(): void {
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
}
