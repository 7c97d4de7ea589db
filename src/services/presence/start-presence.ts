import type { App } from '../../app.ts'
import { startLeasedWorker } from '../../infra/concurrency/leased-worker.ts'
import { beatPresence, dropDeadPresence, settleAllPresence } from '../../storage/presence/presence.ts'

type PresenceApp = Pick<App, 'config' | 'database' | 'clock' | 'random' | 'logger' | 'stopping' | 'presence'>

/** Sweep interval for devices of this process that are gone. */
const SWEEP_MS = 5000
/** A process without a heartbeat for this time is dead; each sends three, and sweeps for idle users and dead processes. */
const DEAD_MS = 90_000
/** Other servers repeat presence; remote users without an update for this time are offline. */
const HEARD_MS = 30 * 60_000

/** Expires presence over time. `stop` removes this process's devices; after a crash, other processes do so. */
export async function startPresence(app: PresenceApp): Promise<{ stop(): Promise<void> }> {
  if (!app.config.presence.enabled) return { stop: async () => {} }
  const { writer } = app.presence
  await sweepPresence(app)
  return startLeasedWorker(app, {
    failure: 'presence sweep failed, will retry',
    lookEvery: SWEEP_MS,
    firstLook: SWEEP_MS,
    look: () => app.presence.sweep(),
    // The heartbeat is the lease of all devices of this process.
    renew: { leaseMs: DEAD_MS, run: () => sweepPresence(app) },
    async release() {
      await writer.drained()
      await app.database.writeLazily((tx) => dropDeadPresence(tx, { before: 0, gone: writer.processId }))
    },
  })
}

/**
 * Records this process's heartbeat, and sets idle users to unavailable, and users whose devices all synced with a dead
 * process to offline.
 */
export async function sweepPresence(app: PresenceApp): Promise<void> {
  const presence = app.presence
  const write = presence.writer.now()
  const wasKnown = await app.database.writeLazily(async (tx) => {
    const isKnown = await beatPresence(tx, write)
    await dropDeadPresence(tx, { before: write.now - DEAD_MS, gone: '' })
    await settleAllPresence(tx, write, write.now - HEARD_MS)
    return isKnown
  })
  if (!wasKnown) presence.forget()
}
