import type { DeviceId, EventId, RoomId, UserId } from '../../core/ids.ts'

/** The table of delayed events: `migrations/0005_rooms.sql`. */
export type DelayedEventTables = { delayed_events: DelayedEventRow }

export type DelayedEventRow = {
  delay_id: string
  user_id: UserId
  device_id: DeviceId | ''
  room_id: RoomId
  type: string
  state_key: string | null
  content: string
  sticky_ms: number | null
  delay_ms: number
  since_ts: number
  txn_id: string | null
  as_admin: boolean
  ready_ts: number
  finalised_ts: number | null
  event_id: EventId | null
  error: string | null
}
