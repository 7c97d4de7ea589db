import type { Event } from '../../../core/pdu.ts'
import type { RoomVersion } from '../../../core/room-versions.ts'

/**
 * Thrown for an event that somebody outside has to approve. Nothing was changed: the caller may ask for the approval
 * outside the transaction (`seekApproval`), and retry.
 */
export abstract class ApprovalNeeded extends Error {
  readonly version: RoomVersion
  readonly event: Event
  constructor(version: RoomVersion, event: Event, needed: string) {
    super(`${event.event_id} needs ${needed}`)
    this.version = version
    this.event = event
  }
}
