import type { Clock } from '../../infra/clock.ts'
import type { Random } from '../../infra/random.ts'
import type { Database } from '../../storage/engine/database.ts'
import { type PresenceChange, type PresenceWrite, storePresence } from '../../storage/presence/presence.ts'

export type WriterCapabilities = { database: Database; clock: Clock; random: Random }

/** Writes presence changes: one transaction for all that arrived during the previous one. */
export type PresenceWriter = {
  readonly processId: string
  /** Resolves when the change is committed and visible to others. */
  write(change: PresenceChange): Promise<void>
  /** Returns the current timestamps for a write. */
  now(): PresenceWrite
  /** Resolves when no write is in progress. */
  drained(): Promise<void>
}

/** https://spec.matrix.org/v1.19/client-server-api/#idle-timeout */
const IDLE_MS = 5 * 60_000

/** Creates the writer of one process. */
export function createPresenceWriter(app: WriterCapabilities): PresenceWriter {
  const processId = app.random.token(16)
  let waiting: PresenceChange[] = []
  let next: Promise<void> | undefined
  let underWay: Promise<void> = Promise.resolve()

  const now = () => ({ processId, now: app.clock.now(), idleMs: IDLE_MS })

  async function flush(previous: Promise<void>): Promise<void> {
    await previous.catch(() => {})
    const changes = waiting
    waiting = []
    next = undefined
    await app.database.writeLazily((tx) => storePresence(tx, changes, now()))
  }

  return {
    processId,
    now,
    write(change) {
      waiting.push(change)
      if (!next) {
        next = flush(underWay)
        underWay = next
      }
      return next
    },
    async drained() {
      await underWay.catch(() => {})
    },
  }
}
