import { isDeepStrictEqual } from 'node:util'
import { LRUCache } from 'lru-cache'
import { stickyDuration } from '../../../core/events/sticky.ts'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { Event, Pdu } from '../../../core/pdu.ts'
import type { NewEvent } from './new-event.ts'

/** Commands use an approved event immediately; unused ones are evicted. */
const KEPT = 1000
const KEPT_CHECKED = 10_000
const KEPT_MS = 60_000

/** Signed and checked events that are not stored yet. */
export type ApprovedEvents = {
  /** Keeps an event that its room's policy server has signed, or that was checked, for the command that sends it. */
  note(event: Event): void
  /** Takes an approved event that matches the one a command sends; it is returned only once. */
  take(roomId: RoomId, wanted: NewEvent): Event | undefined
  /** Remembers that an event has passed the spam check. */
  noteChecked(eventId: EventId): void
  isChecked(eventId: EventId): boolean
}

export function createApprovedEvents(): ApprovedEvents {
  const approved = new LRUCache<RoomId, Event[]>({ max: KEPT, ttl: KEPT_MS })
  const checked = new LRUCache<EventId, true>({ max: KEPT_CHECKED, ttl: KEPT_MS })
  return {
    noteChecked: (eventId) => checked.set(eventId, true),
    isChecked: (eventId) => checked.has(eventId),
    note(event) {
      const roomId = event.room_id as RoomId
      approved.set(roomId, [...(approved.get(roomId) ?? []), event])
    },
    take(roomId, wanted) {
      const ofRoom = approved.get(roomId)
      const found = ofRoom?.find(({ pdu }) => isSame(pdu, wanted))
      if (!ofRoom || !found) return undefined
      approved.set(
        roomId,
        ofRoom.filter((event) => event !== found),
      )
      return found
    },
  }
}

function isSame(made: Pdu, { type, state_key, sender, content, redacts, sticky_ms }: NewEvent): boolean {
  if (made.type !== type || made.state_key !== state_key || made.sender !== sender) return false
  if (stickyDuration(made) !== sticky_ms) return false
  if (redacts === undefined) return isDeepStrictEqual(made.content, content)
  // The place of `redacts` depends on the room version.
  const { redacts: within, ...rest } = made.content
  return (made.redacts ?? within) === redacts && isDeepStrictEqual(rest, content)
}
