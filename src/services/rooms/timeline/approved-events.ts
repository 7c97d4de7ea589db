import { isDeepStrictEqual } from 'node:util'
import { LRUCache } from 'lru-cache'
import { stickyDuration } from '../../../core/events/sticky.ts'
import type { RoomId } from '../../../core/ids.ts'
import type { Event, Pdu } from '../../../core/pdu.ts'
import type { NewEvent } from './new-event.ts'

/** Commands use an approved event immediately; unused ones are evicted. */
const KEPT = 1000
const KEPT_MS = 60_000

/** Signed events that are not stored yet. */
export type ApprovedEvents = {
  /** Keeps an event that its room's policy server has signed, for the command that sends it. */
  note(event: Event): void
  /** Takes an approved event that matches the one a command sends; it is returned only once. */
  take(roomId: RoomId, wanted: NewEvent): Event | undefined
}

export function createApprovedEvents(): ApprovedEvents {
  const approved = new LRUCache<RoomId, Event[]>({ max: KEPT, ttl: KEPT_MS })
  return {
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
