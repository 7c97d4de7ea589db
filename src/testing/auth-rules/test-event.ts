import type { EventId, RoomId, UserId } from '../../core/ids.ts'
import type { Event, JsonObject, Pdu } from '../../core/pdu.ts'

/** The fields of an event that a test sets; the rest is filled in. */
export type TestEvent = {
  event_id?: string
  /** `null` for an event without one, like the create event of version 12. */
  room_id?: string | null
  type: string
  state_key?: string
  sender?: string
  content?: JsonObject
  auth_events?: string[]
  prev_events?: string[]
  origin_server_ts?: number
  depth?: number
  redacts?: string
  signatures?: Record<string, Record<string, string>>
  rejected?: boolean
}

/** Returns a parsed event, by default by @alice:a in !room:a. */
export function testEvent(fields: TestEvent): Event {
  const eventId = (fields.event_id ?? `$${fields.type}:a`) as EventId
  const authEvents = (fields.auth_events ?? []) as EventId[]
  const prevEvents = (fields.prev_events ?? ['$previous']) as EventId[]
  const roomId = (fields.room_id === null ? `!${eventId.slice(1)}` : (fields.room_id ?? '!room:a')) as RoomId
  const pdu: Pdu = {
    type: fields.type,
    sender: (fields.sender ?? '@alice:a') as UserId,
    content: fields.content ?? {},
    origin_server_ts: fields.origin_server_ts ?? 0,
    depth: fields.depth ?? 1,
    prev_events: prevEvents,
    auth_events: authEvents,
    hashes: { sha256: '' },
    signatures: fields.signatures ?? {},
    ...(fields.room_id === null ? {} : { room_id: roomId }),
    ...(fields.state_key === undefined ? {} : { state_key: fields.state_key }),
    ...(fields.redacts === undefined ? {} : { redacts: fields.redacts }),
  }
  return {
    event_id: eventId,
    room_id: roomId,
    pdu,
    auth_event_ids: authEvents,
    prev_event_ids: prevEvents,
    rejected: fields.rejected ?? false,
  }
}
