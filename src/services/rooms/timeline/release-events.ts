import type { LockedRoom } from '../../../storage/rooms/timeline/locked-room.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

/** Adds events that were withheld from clients to the timeline, as its newest events. */
export function releaseEvents(room: LockedRoom, events: readonly StoredEvent[]): void {
  for (const event of events) {
    if (!event.soft_failed || !room.head) continue
    const { next_order: order, state_root: root } = room.head
    const place = { event_order: order, room_before: root, room_after: root, current_changes: [] }
    room.events.push({ ...asVisible(event), ...place })
    room.head = { ...room.head, next_order: order + 1 }
  }
}

/** As `releaseEvents`, for history, which clients have not seen: the events keep their places. */
export function releaseHistory(room: LockedRoom, events: readonly StoredEvent[]): void {
  for (const event of events) if (event.soft_failed) room.events.push({ ...asVisible(event), is_history: true })
}

function asVisible(event: StoredEvent) {
  const stored = { rejected_reason: null, was_stored: true, is_recomputed: false }
  return { ...event, soft_failed: false, json: JSON.stringify(event.pdu), ...stored }
}
