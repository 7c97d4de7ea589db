import type { App } from '../../app.ts'
import { createLeases } from '../../infra/concurrency/leases.ts'
import type { Tx } from '../../storage/engine/database.ts'
import { scheduleDigests } from '../../storage/push/email-digests.ts'
import {
  advancePushProgress,
  enqueuePushes,
  leasePushProgress,
  loadStreamAfter,
  type QueuedPush,
  releasePushProgress,
} from '../../storage/push/push-queue.ts'
import type { StreamRow } from '../../storage/schema/stream.ts'
import { pushesFor } from './queue-pushes.ts'

type Capabilities = Pick<App, 'config' | 'database' | 'stream' | 'clock' | 'random' | 'stopping' | 'push'>

/** Evaluates the push rules of users with pushers for stream rows, in one process at a time, which holds the lease. */
export type Follower = {
  /** Processes the stream to its end if this process holds the lease. Returns whether pushes were queued. */
  follow(): Promise<boolean>
  /** Returns whether another process held the lease at the last attempt. */
  isOther(): boolean
  /** Releases the lease, so that another process can continue. */
  release(): Promise<void>
}

/** Duration of the lease: when a process dies, another takes over after this time. */
const LEASE_MS = 5000
const PAGE = 500

export function createFollower(app: Capabilities): Follower {
  const leases = createLeases(app, LEASE_MS)
  let lease: { position: number; until: number } | undefined
  let isOther = false

  /** Returns the position to continue from; undefined if another process holds the lease. Usually needs no query. */
  async function position(): Promise<number | undefined> {
    const next = leases.next()
    if (lease && lease.until - next.now > leases.ms / 2) return lease.position
    const leased = await app.database.write((tx) => leasePushProgress(tx, next))
    lease = leased === undefined ? undefined : { position: leased, until: next.until }
    isOther = leased === undefined
    return leased
  }

  /** Position and queue are written in one transaction, so that each notification is queued exactly once. */
  async function queue(from: number, rows: readonly StreamRow[]): Promise<boolean> {
    const pushes = await pushesFor(app, rows)
    const to = rows.at(-1)!.stream_position
    const now = app.clock.now()
    const moved = await app.database.write(async (tx) => {
      const isOurs = await advancePushProgress(tx, { from, to })
      if (isOurs) await enqueue(tx, pushes, now)
      return isOurs
    })
    lease = moved && lease ? { ...lease, position: to } : undefined
    return moved && pushes.length > 0
  }

  async function enqueue(tx: Tx, pushes: readonly QueuedPush[], now: number): Promise<void> {
    const { smtp_url: mailServer, digest_delay: delay } = app.config.email
    await enqueuePushes(tx, pushes, now)
    if (mailServer === undefined || pushes.length === 0) return
    await scheduleDigests(tx, { pusherNids: pushes.map(({ pusher_nid }) => pusher_nid), now, delay })
  }

  return {
    async follow() {
      let hasQueued = false
      for (;;) {
        const from = app.stopping.aborted ? undefined : await position()
        if (from === undefined) return hasQueued
        const rows = await loadStreamAfter(app.database, from, PAGE)
        if (rows.length === 0) return hasQueued
        // The push rules must be at least as recent as the rows.
        while (app.stream.position() < rows.at(-1)!.stream_position) await app.stream.refresh()
        if (await queue(from, rows)) hasQueued = true
        if (rows.length < PAGE) return hasQueued
      }
    },
    isOther: () => isOther,
    release: () => app.database.write((tx) => releasePushProgress(tx, leases.holder)),
  }
}
