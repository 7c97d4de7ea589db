/** Lets callers start a few at a time with a pause in between, so that other work on this machine gets its turn. */
export type Pace = {
  /** Resolves when the caller may start; in the order of the calls. */
  mayBegin(): Promise<void>
  /** Resolves when no caller waits. */
  haveBegun(): Promise<void>
}

const PAUSE_MS = 1

/**
 * One caller starts in each millisecond, or more if otherwise most of the waiting ones would start later than `overMs`.
 */
export function createPace(overMs: number): Pace {
  const waiting: (() => void)[] = []
  const observers: (() => void)[] = []
  let isTurning = false

  function turn(): void {
    for (const resume of waiting.splice(0, Math.max(1, Math.ceil((waiting.length * PAUSE_MS) / overMs)))) resume()
    isTurning = waiting.length > 0
    // After a timer, other timers may be due in the same turn of the event loop.
    if (isTurning) setTimeout(setImmediate, PAUSE_MS, turn)
    else for (const observe of observers.splice(0)) observe()
  }

  return {
    mayBegin: () =>
      new Promise((resolve) => {
        waiting.push(resolve)
        if (isTurning) return
        isTurning = true
        setImmediate(turn)
      }),
    haveBegun: () => (isTurning ? new Promise((resolve) => observers.push(resolve)) : Promise.resolve()),
  }
}
