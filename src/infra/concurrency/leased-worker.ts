import type { Logger } from '../logger.ts'
import type { ActiveWork } from './active-work.ts'
import { repeat } from './repeat.ts'

/** Work that the processes of a server share: each part is done by one at a time. docs/decisions/0003-leases.md */
export type LeasedWork = {
  /** The log line for a look or a renewal that fails; both are repeated. */
  failure: string
  level?: 'warn' | 'error'
  /** Acquires what no process holds, and does it or begins it. Runs when the worker starts, then when it is called for. */
  look(): Promise<unknown>
  /** Milliseconds between two looks: another process may have died, a back-off ended. Absent: looks only when called for. */
  lookEvery?: number | undefined
  /** Milliseconds until the first look; 0 by default. */
  firstLook?: number | undefined
  /** Subscribes to what brings work. Returns how to unsubscribe. */
  subscribe?(worker: Wake): () => void
  /** Extends the leases of this process, three times per lease, while something is active. */
  renew?: { leaseMs: number; run(): Promise<unknown> }
  /** The work that this process does outside of `look`; absent: none. Stopping waits for it. */
  active?: Pick<ActiveWork<never, never>, 'size' | 'idle'>
  /** Ends the leases of this process, so that another one continues at once. */
  release?(): Promise<unknown>
}

/** Makes the worker look, at once or within some milliseconds. */
export type Wake = { now(): void; within(ms: number): void }

export type LeasedWorker = Wake & {
  /** Looks no more, waits for what is active, then releases the leases. */
  stop(): Promise<void>
}

/** Starts a worker. Work that is active sees by `app.stopping` that it should end. */
export function startLeasedWorker(app: { logger: Logger; stopping: AbortSignal }, work: LeasedWork): LeasedWorker {
  const { failure, level, lookEvery, firstLook, renew } = work
  const looks = repeat(app, { failure, level, every: lookEvery, first: firstLook }, () => work.look())
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
