import type { EventId, RoomId, UserId } from './ids.ts'

/** A JSON value, as Matrix uses it: numbers are integers where canonical JSON is enforced. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/**
 * An event as servers exchange it: https://spec.matrix.org/v1.19/server-server-api/#pdus. Exactly the fields of the
 * wire format, unknown ones included; `StoredEvent` has what Hearth adds.
 */
export type Pdu = {
  /** Only in room versions 1 and 2. */
  event_id?: string
  /** Absent in the create event of room version 12 and later. */
  room_id?: RoomId
  type: string
  state_key?: string
  sender: UserId
  content: JsonObject
  /** The sender's server, in membership events that servers exchange; ignored. */
  origin?: Json
  origin_server_ts: number
  depth: number
  /** Event ids; in room versions 1 and 2 pairs of event id and hashes. */
  prev_events: EventId[] | [EventId, Record<string, string>][]
  auth_events: EventId[] | [EventId, Record<string, string>][]
  hashes: { sha256: string }
  signatures: Record<string, Record<string, string>>
  /** Of `m.room.redaction` before room version 11. */
  redacts?: string
  /** Of sticky events (core/events/sticky.ts); other servers may send anything. */
  msc4354_sticky?: Json
  unsigned?: JsonObject
}

/** A PDU with its id and room: the input of the algorithms in core. */
export type Event = {
  readonly event_id: EventId
  readonly room_id: RoomId
  readonly pdu: Pdu
  /** The ids in `auth_events`, whatever the room version's form. */
  readonly auth_event_ids: readonly EventId[]
  /** The ids in `prev_events`, whatever the room version's form. */
  readonly prev_event_ids: readonly EventId[]
  /** Rejected by the authorisation rules when it was received. */
  readonly rejected: boolean
}

/** The key of one piece of room state. */
export type StateKey = { type: string; state_key: string }
