import type { Logger } from '../logger.ts'
import type { ActiveWork } from './active-work.ts'
import { repeat, type Wake } from './repeat.ts'

/** Work that the processes of a server share: each part is performed by one at a time. docs/decisions/0003-leases.md */
export type LeasedWork = {
  /** The log line for a failed look or renewal; both are retried. */
  failure: string
  level?: 'warn' | 'error'
  /** Acquires leases of free work, and performs or starts it. Runs when the worker starts, and then on demand. */
  look(wake: Wake): Promise<unknown>
  /**
   * Milliseconds between two looks: another process may have died, or a back-off may have ended. Absent: looks only on
   * demand.
   */
  lookEvery?: number | undefined
  /** Milliseconds until the first look; 0 by default. */
  firstLook?: number | undefined
  /** Milliseconds from a failed look to the next one; `lookEvery` by default. */
  retry?: number | undefined
  /** Subscribes to the sources of new work. Returns a function that unsubscribes. */
  subscribe?(worker: Wake): () => void
  /** Extends the leases of this process, three times per lease, while something is active. */
  renew?: { leaseMs: number; run(): Promise<unknown> }
  /** The work of this process that outlives `look`; absent: none. Stopping waits for it. */
  active?: Pick<ActiveWork<never, never>, 'size' | 'idle'>
  /** Releases the leases of this process, so that another one continues immediately. */
  release?(): Promise<unknown>
}

export type LeasedWorker = Wake & {
  /** Stops looking, waits for active work, then releases the leases. */
  stop(): Promise<void>
}

/** Starts a worker. `app.stopping` tells active work to end. */
export function startLeasedWorker(app: { logger: Logger; stopping: AbortSignal }, work: LeasedWork): LeasedWorker {
  const { failure, level, lookEvery, firstLook, retry, renew } = work
  const looks = repeat(app, { failure, level, every: lookEvery, first: firstLook, retry }, (wake) => work.look(wake))
  const pause = renew && renew.leaseMs / 3
  const renewals =
    renew &&
    repeat(app, { failure, level, every: pause, first: pause }, async () => {
      if (!work.active || work.active.size > 0) await renew.run()
    })
  const unsubscribe = work.subscribe?.(looks)
  return {
    now: looks.now,
    within: looks.within,
    async stop() {
      unsubscribe?.()
      await Promise.all([looks.stop(), renewals?.stop()])
      await work.active?.idle()
      await work.release?.()
    },
  }
}
