import { type EventId, isEventId, type RoomId, type UserId } from '../ids.ts'
import type { Event, JsonObject, Pdu } from '../pdu.ts'
import type { RoomVersion } from '../room-versions.ts'
import { STICKY, stickyDuration } from './sticky.ts'

/** An event in the client format; each endpoint adds `unsigned`. */
export type ClientEvent = {
  type: string
  content: JsonObject
  sender: UserId
  origin_server_ts: number
  event_id: EventId
  room_id: RoomId
  state_key?: string
  /** Of redactions, for clients that read it at its place before room version 11. */
  redacts?: string
  msc4354_sticky?: { duration_ms: number }
  unsigned?: JsonObject
}

/** The event in the format for clients: https://spec.matrix.org/v1.19/client-server-api/#room-event-format */
export function clientEvent(event: Event, version: RoomVersion): ClientEvent {
  const { pdu } = event
  const redacts = redactedEventId(version, pdu)
  const sticky = stickyDuration(pdu)
  return {
    type: pdu.type,
    // Redactions of all room versions have it in both places:
    // https://spec.matrix.org/v1.19/rooms/v11/#moving-the-redacts-property-of-mroomredaction-events-to-a-content-property
    content: redacts === undefined ? pdu.content : { ...pdu.content, redacts },
    sender: pdu.sender,
    origin_server_ts: pdu.origin_server_ts,
    event_id: event.event_id,
    room_id: event.room_id,
    ...(pdu.state_key !== undefined && { state_key: pdu.state_key }),
    ...(redacts !== undefined && { redacts }),
    ...(sticky !== undefined && { [STICKY]: { duration_ms: sticky } }),
  }
}

/**
 * Returns the id of the event that a redaction targets; `undefined` for other events and for redactions without a
 * target.
 */
export function redactedEventId(version: RoomVersion, { type, content, redacts }: Pdu): EventId | undefined {
  if (type !== 'm.room.redaction') return undefined
  const eventId = version.redactsInContent ? content.redacts : redacts
  return typeof eventId === 'string' && isEventId(eventId) ? eventId : undefined
}
