import type { Logger } from '../logger.ts'

/** Requests further runs of the work of a loop. */
export type Wake = {
  /** Runs the work immediately, or again after the current run. */
  now(): void
  /** Runs the work within `ms` milliseconds, unless it runs earlier. */
  within(ms: number): void
}

/** A loop that runs work repeatedly, never concurrently. */
export type Loop = Wake & {
  /** Ends the loop; resolves when nothing is running. */
  stop(): Promise<void>
}

export type LoopOptions = {
  /** Milliseconds from the end of a run to the next one. Absent: the work runs only on demand. */
  every?: number | undefined
  /** Milliseconds until the first run; 0 by default. */
  first?: number | undefined
  /** Milliseconds from a failure to the next run; `every` by default. */
  retry?: number | undefined
  /** The log line for an error of the work. The loop continues. */
  failure: string
  level?: 'warn' | 'error' | undefined
}

/** Runs `work` as `options` say, and on demand, until the server stops. */
export function repeat(
  { logger, stopping }: { logger: Logger; stopping: AbortSignal },
  { every, first = 0, retry = every, failure, level = 'warn' }: LoopOptions,
  work: (wake: Wake) => Promise<unknown>,
): Loop {
  let running: Promise<void> | undefined
  let isCalledAgain = false
  let isStopped = false
  const alarm = createAlarm(now)

  async function run(): Promise<void> {
    let delay: number | undefined
    do {
      isCalledAgain = false
      delay = every
      alarm.clear()
      try {
        await work({ now, within })
      } catch (error) {
        delay = retry
        logger[level]({ err: error }, failure)
      }
    } while (isCalledAgain && !isEnding())
    running = undefined
    if (delay !== undefined) within(delay)
  }

  function now(): void {
    if (isEnding()) return
    isCalledAgain = true
    running ??= run()
  }

  function within(ms: number): void {
    if (!isEnding()) alarm.set(ms)
  }

  function isEnding(): boolean {
    return isStopped || stopping.aborted
  }

  if (first === 0) now()
  else within(first)
  return {
    now,
    within,
    async stop() {
      isStopped = true
      alarm.clear()
      await running
    },
  }
}

/** A timer that only moves forward: the earliest of several set times wins. */
function createAlarm(ring: () => void): { set(ms: number): void; clear(): void } {
  let timer: NodeJS.Timeout | undefined
  let ringsAt = Number.POSITIVE_INFINITY

  function clear(): void {
    clearTimeout(timer)
    ringsAt = Number.POSITIVE_INFINITY
  }

  return {
    clear,
    set(ms) {
      const at = performance.now() + ms
      if (at >= ringsAt) return
      clear()
      ringsAt = at
      timer = setTimeout(() => {
        clear()
        ring()
      }, ms)
      timer.unref()
    },
  }
}
