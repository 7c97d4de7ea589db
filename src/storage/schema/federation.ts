import type { DeviceId, EventId, RoomId, ServerName, UserId } from '../../core/ids.ts'
import type { InboxRow } from './federation-inbox.ts'

/** Tables of federation: `migrations/0007_federation.sql`, `0003_devices.sql` and `0005_rooms.sql`. */
export type FederationTables = {
  room_servers: { room_id: RoomId; server_name: ServerName; joined_members: number }
  federation_destinations: DestinationRow
  partial_rooms: PartialRoomRow
  partial_events: { place: number; room_id: RoomId; event_nid: number; received_states: string; is_entry: boolean }
  federation_queue: { queue_nid: number; destination: ServerName; room_id: RoomId; event_nid: number }
  federation_room_notes: { destination: ServerName; room_id: RoomId }
  federation_edus: EduRow
  federation_inbox: InboxRow
  federation_inbox_rooms: { room_id: RoomId; leased_by: string | null; leased_until: number; arrivals: number }
  federation_transactions: { origin: ServerName; txn_id: string; received_ts: number; answer: string }
  federation_progress: { only_row: boolean; stream_position: number | null; presence_ts: number }
  received_messages: { origin: ServerName; message_id: string; received_ts: number }
  device_list_streams: { user_id: UserId; stream_id: number }
  remote_device_lists: RemoteDeviceListRow
  remote_device_keys: {
    user_id: UserId
    device_id: DeviceId
    key_json: string
    display_name: string | null
  }
}

/** State groups after events, by event id. */
export type ReceivedStates = Record<EventId, number>

/** A room joined with partial state: `migrations/0005_rooms.sql`. */
export type PartialRoomRow = {
  room_id: RoomId
  via: ServerName
  servers: ServerName[]
  since_position: number
  leased_by: string | null
  leased_until: number
  retry_ts: number
  failures: number
}

export type RemoteDeviceListRow = {
  user_id: UserId
  server_name: ServerName
  stream_id: number | null
  is_stale: boolean
  version: number
  leased_until: number
  retry_ts: number
  failures: number
}

export type DestinationRow = {
  destination: ServerName
  leased_by: string | null
  leased_until: number
  retry_ts: number
  failures: number
  failing_since: number | null
  failed_ts: number | null
  accepted_nid: number | null
  wake_ts: number | null
  needs_catch_up: boolean
  txn_id: string | null
  txn_events: number[] | null
  txn_edus: number[] | null
}

export type EduRow = {
  edu_nid: number
  destination: ServerName
  edu_type: string
  content: string
  edu_key: string | null
  subject: string | null
  sender: string | null
  is_ephemeral: boolean
}
