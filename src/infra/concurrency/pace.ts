/** Lets others begin, a few at a time with a pause after them, so that all else that this machine does has its turn. */
export type Pace = {
  /** Resolves when it is the caller's turn to begin; in the order of the calls. */
  mayBegin(): Promise<void>
  /** Resolves when nobody waits to begin. */
  haveBegun(): Promise<void>
}

const PAUSE_MS = 1

/** One begins in each millisecond, or more where so many wait that it would take more than `overMs` for most of them to begin. */
export function createPace(overMs: number): Pace {
  const waiting: (() => void)[] = []
  const observers: (() => void)[] = []
  let isTurning = false

  function turn(): void {
    for (const goOn of waiting.splice(0, Math.max(1, Math.ceil((waiting.length * PAUSE_MS) / overMs)))) goOn()
    isTurning = waiting.length > 0
    // After a timer others may be due in the same turn of the event loop.
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
