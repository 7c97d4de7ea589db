/**
 * Runs work of many keys concurrently. Each key has a lane with a limited number of running and of waiting works;
 * beyond these the result is undefined. If all lanes together are full, the lane with the fewest running works
 * continues first, so that no key can block the others. Rejects with the reason of `signal` if it aborts before the
 * work has started.
 */
export type Lanes<Key> = <Result>(
  key: Key,
  work: () => Promise<Result>,
  signal?: AbortSignal,
) => Promise<Result> | undefined

export type LaneLimits = {
  /** Running works of one key. */
  each: number
  /** Waiting works of one key. */
  waiting: number
  /** Running and waiting works of all keys; absent: no limit. */
  total?: number
  waitingInAll?: number
}

type Lane = { running: number; waiting: Set<() => void> }

type Work<Result> = { work: () => Promise<Result>; signal: AbortSignal | undefined }

const UNLIMITED = { total: Number.POSITIVE_INFINITY, waitingInAll: Number.POSITIVE_INFINITY }

export function createLanes<Key>(limits: LaneLimits): Lanes<Key> {
  const { each, waiting, total, waitingInAll } = { ...UNLIMITED, ...limits }
  const lanes = new Map<Key, Lane>()
  /** Lanes whose next work could run if the total were not reached; the one that has waited longest is first. */
  const ready = new Set<Lane>()
  let [running, waitingNow] = [0, 0]

  function begin(lane: Lane): void {
    lane.running++
    running++
  }

  function end(key: Key, lane: Lane): void {
    lane.running--
    running--
    if (lane.waiting.size > 0) ready.add(lane)
    else if (lane.running === 0) lanes.delete(key)
    beginNext()
  }

  function beginNext(): void {
    while (running < total && ready.size > 0) {
      const lane = takeLeastBusy(ready)
      const [next] = lane.waiting
      if (!next) continue
      lane.waiting.delete(next)
      begin(lane)
      if (lane.waiting.size > 0 && lane.running < each) ready.add(lane)
      next()
    }
  }

  async function turn(key: Key, lane: Lane, signal: AbortSignal | undefined): Promise<void> {
    waitingNow++
    try {
      await waitIn(lane, { ready, each, signal })
    } finally {
      waitingNow--
      if (lane.running === 0 && lane.waiting.size === 0 && lanes.get(key) === lane) lanes.delete(key)
    }
  }

  async function run<Result>(key: Key, lane: Lane, { work, signal }: Work<Result>): Promise<Result> {
    if (lane.running < each && running < total && lane.waiting.size === 0) begin(lane)
    else await turn(key, lane, signal)
    try {
      return await work()
    } finally {
      end(key, lane)
    }
  }

  return (key, work, signal) => {
    const lane = lanes.get(key) ?? { running: 0, waiting: new Set() }
    const isFull = lane.running >= each || running >= total
    if (isFull && (lane.waiting.size >= waiting || waitingNow >= waitingInAll)) return undefined
    lanes.set(key, lane)
    return run(key, lane, { work, signal })
  }
}

/** Waits in a lane for its turn; rejects with the reason of `signal` if it aborts before. */
async function waitIn(
  lane: Lane,
  { ready, each, signal }: { ready: Set<Lane>; each: number; signal: AbortSignal | undefined },
): Promise<void> {
  signal?.throwIfAborted()
  let stopListening = () => {}
  try {
    await new Promise<void>((resolve, reject) => {
      const leave = () => {
        if (!lane.waiting.delete(resolve)) return
        if (lane.waiting.size === 0) ready.delete(lane)
        reject(signal!.reason)
      }
      lane.waiting.add(resolve)
      if (lane.running < each) ready.add(lane)
      signal?.addEventListener('abort', leave, { once: true })
      stopListening = () => signal?.removeEventListener('abort', leave)
    })
  } finally {
    stopListening()
  }
}

function takeLeastBusy(lanes: Set<Lane>): Lane {
  let least: Lane | undefined
  for (const lane of lanes) if (!least || lane.running < least.running) least = lane
  lanes.delete(least!)
  return least!
}
