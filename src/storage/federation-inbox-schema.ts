import type { EventId, RoomId, ServerName } from '../core/ids.ts'

/** See `migrations/0016_federation_inbox.sql` and `0046_early_events.sql`. */
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
