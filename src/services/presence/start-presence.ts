import type { App } from '../../app.ts'
import { repeat } from '../../infra/concurrency/repeat.ts'
import { beatPresence, dropDeadPresence, settleAllPresence } from '../../storage/presence/presence.ts'

type PresenceApp = Pick<App, 'config' | 'database' | 'clock' | 'random' | 'logger' | 'stopping' | 'presence'>

/** Sweep interval for devices of this process that are gone. */
const SWEEP_MS = 5000
/** Interval of this process's heartbeat, and of the sweep for idle users and dead processes. */
const BEAT_MS = 30_000
/** A process without a heartbeat for this time is dead. */
const DEAD_MS = 3 * BEAT_MS
/** Other servers repeat presence; remote users without an update for this time are offline. */
const HEARD_MS = 30 * 60_000

/** Expires presence over time. `stop` removes this process's devices; after a crash, other processes do so. */
export async function startPresence(app: PresenceApp): Promise<{ stop(): Promise<void> }> {
  if (!app.config.presence.enabled) return { stop: async () => {} }
  const { writer } = app.presence
  await sweepPresence(app)
  const failure = 'presence sweep failed, will retry'
  const loops = [
    repeat(app, { every: SWEEP_MS, first: SWEEP_MS, failure }, () => app.presence.sweep()),
    repeat(app, { every: BEAT_MS, first: BEAT_MS, failure }, () => sweepPresence(app)),
  ]
  return {
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()))
      await writer.drained()
      await app.database.writeLazily((tx) => dropDeadPresence(tx, { before: 0, gone: writer.processId }))
    },
  }
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
