import type { App } from '../../app.ts'
import { repeat } from '../../infra/concurrency/repeat.ts'
import { beatPresence, dropDeadPresence, settleAllPresence } from '../../storage/presence/presence.ts'
import { devicePresenceOf } from './device-presence.ts'
import type { PresenceApp } from './presence-writer.ts'

/** How often to look for devices that are gone, in this process. */
const SWEEP_MS = 5000
/** How often to say that this process lives, and to look for idle users and dead processes. */
const BEAT_MS = 30_000
/** A process that has not been seen for this long is dead. */
const DEAD_MS = 3 * BEAT_MS
/** Other servers repeat who is there; those who were not told of for so long are not. */
const HEARD_MS = 30 * 60_000

/**
 * Keeps presence true while time passes. `stop` lets the devices go that this process had; others sweep for it if it
 * crashes.
 */
export async function startPresence(app: PresenceApp & Pick<App, 'stopping'>): Promise<{ stop(): Promise<void> }> {
  if (!app.config.presence.enabled) return { stop: async () => {} }
  const { writer } = devicePresenceOf(app)
  await sweepPresence(app)
  const failure = 'sweeping presence failed; it is tried again'
  const loops = [
    repeat(app, { every: SWEEP_MS, first: SWEEP_MS, failure }, () => devicePresenceOf(app).sweep()),
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
 * Says that this process lives, makes idle users unavailable, and those offline whose devices all went with a process
 * that died.
 */
export async function sweepPresence(app: PresenceApp): Promise<void> {
  const presence = devicePresenceOf(app)
  const write = presence.writer.now()
  const wasKnown = await app.database.writeLazily(async (tx) => {
    const isKnown = await beatPresence(tx, write)
    await dropDeadPresence(tx, { before: write.now - DEAD_MS, gone: '' })
    await settleAllPresence(tx, write, write.now - HEARD_MS)
    return isKnown
  })
  if (!wasKnown) presence.forget()
}
