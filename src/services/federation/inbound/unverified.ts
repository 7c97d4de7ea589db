import type { ServerName } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'

/** An event that one server passed on while the keys of its origin server are unavailable. */
export type Unverified = { origin: ServerName; version: RoomVersion; event: Event }

/**
 * Events refused only because keys were unavailable. They are retried outside the rooms' queues, so that nothing waits
 * for them. Kept in memory only: the response has already reported them as not accepted.
 */
export type UnverifiedEvents = {
  keep(unverified: Unverified): void
  /** Ingests events whose keys are available now. To be called often. */
  retry(): Promise<void>
  count(): number
}
