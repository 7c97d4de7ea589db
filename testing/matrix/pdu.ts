declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

export type UserId = Branded<'UserId'>
export type RoomId = Branded<'RoomId'>
export type EventId = Branded<'EventId'>
export type ServerName = Branded<'ServerName'>

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json }
export type JsonObject = { [key: string]: Json }

/** An event as servers exchange it: https://spec.matrix.org/v1.19/server-server-api/#pdus */
export type Pdu = {
  /** Only in room versions 1 and 2. */
  event_id?: string
  /** Absent in the create event of room version 12 and later. */
  room_id?: RoomId
  type: string
  state_key?: string
  sender: UserId
  content: JsonObject
  origin?: Json
  origin_server_ts: number
  depth: number
  /** Event ids; in room versions 1 and 2 pairs of event id and hashes. */
  prev_events: EventId[] | [EventId, Record<string, string>][]
  auth_events: EventId[] | [EventId, Record<string, string>][]
  hashes: { sha256: string }
  signatures: Record<string, Record<string, string>>
  redacts?: string
  unsigned?: JsonObject
}

/** A PDU with what follows from it. */
export type Event = {
  readonly event_id: EventId
  readonly room_id: RoomId
  readonly pdu: Pdu
  readonly auth_event_ids: readonly EventId[]
  readonly prev_event_ids: readonly EventId[]
}
