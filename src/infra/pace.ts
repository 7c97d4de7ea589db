/** Lets others begin, a few in each turn of the event loop, so that all else has turns between them. */
export type Pace = {
  /** Resolves when it is the caller's turn to begin; in the order of the calls. */
  mayBegin(): Promise<void>
  /** Resolves when nobody waits to begin. */
  haveBegun(): Promise<void>
}

/** `most`: how many begin in one turn. */
export function createPace(most: number): Pace {
  const waiting: (() => void)[] = []
  const observers: (() => void)[] = []
  let isTurning = false

  function turn(): void {
    for (const goOn of waiting.splice(0, most)) goOn()
    isTurning = waiting.length > 0
    if (isTurning) setImmediate(turn)
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
