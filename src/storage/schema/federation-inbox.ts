import type { EventId, RoomId, ServerName } from '../../core/ids.ts'

/** A row of the inbox: `migrations/0007_federation.sql`. */
export type InboxRow = {
  inbox_nid: number
  room_id: RoomId
  event_id: EventId
  origin: ServerName
  pdu: string
  received_ts: number
  arrivals: number
  attempts: number
  retry_ts: number
  is_early: boolean
}
