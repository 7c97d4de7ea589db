import type { DeviceId, UserId } from '../../core/ids.ts'

/** Tables of presence: `migrations/0010_presence.sql`. */
export type PresenceTables = {
  presence: PresenceRow
  presence_devices: {
    user_id: UserId
    device_id: DeviceId | ''
    process_id: string
    presence: 'online' | 'unavailable'
  }
  presence_processes: { process_id: string; seen_ts: number }
}

export type PresenceState = 'online' | 'unavailable' | 'offline'

export type PresenceRow = {
  user_id: UserId
  presence: PresenceState
  status_msg: string | null
  last_active_ts: number
  heard_ts: number | null
}
