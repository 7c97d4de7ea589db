import { BadJsonError } from '../errors.ts'
import type { EventId, RoomId } from '../ids.ts'
import type { Event, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { eventIdOf } from './reference-hash.ts'

/**
 * Returns a PDU with the fields derived from its room version. A known `event_id` avoids another hash. Throws
 * BadJsonError if it has neither an id nor a room.
 */
export function toEvent(version: RoomVersion, pdu: Pdu, known: { rejected?: boolean; event_id?: EventId } = {}): Event {
  const eventId = known.event_id ?? eventIdOf(version, pdu)
  return {
    event_id: eventId,
    room_id: roomIdOf(version, pdu, eventId),
    pdu,
    auth_event_ids: eventIds(pdu.auth_events),
    prev_event_ids: eventIds(pdu.prev_events),
    rejected: known.rejected ?? false,
  }
}

/**
 * Whether an event is the create event whose hash is the room id, so that it has no `room_id`:
 * https://spec.matrix.org/v1.19/rooms/v12/#event-format
 */
export function namesItsRoom(version: RoomVersion, event: { type: string; state_key?: unknown }): boolean {
  return version.roomIdIsCreateHash && event.type === 'm.room.create' && event.state_key === ''
}

function roomIdOf(version: RoomVersion, pdu: Pdu, eventId: EventId): RoomId {
  if (namesItsRoom(version, pdu)) return `!${eventId.slice(1)}` as RoomId
  if (pdu.room_id === undefined) throw new BadJsonError('The event has no room id')
  return pdu.room_id
}

function eventIds(references: Pdu['prev_events']): EventId[] {
  return references.map((reference) => (typeof reference === 'string' ? reference : reference[0]))
}
