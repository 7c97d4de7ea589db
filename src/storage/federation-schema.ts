import type { RoomId, ServerName } from '../core/ids.ts'

/** The tables of what goes to other servers; `migrations/0013_federation_outbox.sql` has their meaning. */
export type FederationTables = {
  room_servers: { room_id: RoomId; server_name: ServerName; joined_members: number }
  federation_destinations: DestinationRow
  federation_queue: { queue_nid: number; destination: ServerName; room_id: RoomId; event_nid: number }
  federation_room_notes: { destination: ServerName; room_id: RoomId }
  federation_edus: EduRow
  federation_progress: {
    only_row: boolean
    stream_position: number | null
    leased_by: string | null
    leased_until: number
  }
}

export type DestinationRow = {
  destination: ServerName
  leased_by: string | null
  leased_until: number
  retry_ts: number
  failures: number
  failing_since: number | null
  wake_ts: number | null
  is_lagging: boolean
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
  is_ephemeral: boolean
}
