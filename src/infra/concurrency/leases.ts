import type { Lease } from '../../storage/engine/lease.ts'
import type { Clock } from '../clock.ts'
import type { Random } from '../random.ts'

/** The leases of one worker. When the process dies, other processes acquire its rows after `ms` milliseconds. */
export type Leases = {
  readonly holder: string
  readonly ms: number
  /** Returns the lease with which to acquire or renew rows now. */
  next(): Lease
}

export function createLeases({ clock, random }: { clock: Clock; random: Random }, ms: number): Leases {
  const holder = random.token(12)
  return {
    holder,
    ms,
    next() {
      const now = clock.now()
      return { holder, now, until: now + ms }
    },
  }
}
