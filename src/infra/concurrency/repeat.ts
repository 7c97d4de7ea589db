import type { Logger } from '../logger.ts'

export type Repeated = {
  /** Does it now; once more if it is under way. */
  now(): void
  stop(): Promise<void>
}

/** Does something at once, every `interval` milliseconds and whenever it is called for, never twice at a time. What it throws goes to the log. */
export function repeat(
  { logger, stopping }: { logger: Logger; stopping: AbortSignal },
  interval: number,
  work: () => Promise<unknown>,
  failure = 'looking after other servers failed; it is tried again',
): Repeated {
  let underWay: Promise<void> | undefined
  let again = false
  let isStopped = false

  const run = async () => {
    do {
      again = false
      try {
        await work()
      } catch (error) {
        logger.warn({ err: error }, failure)
      }
    } while (again && !isStopped && !stopping.aborted)
    underWay = undefined
  }
  const now = () => {
    if (isStopped || stopping.aborted) return
    again = true
    underWay ??= run()
  }
  now()
  const timer = setInterval(() => {
    if (!underWay) now()
  }, interval)
  return {
    now,
    async stop() {
      isStopped = true
      clearInterval(timer)
      await underWay
    },
  }
}
