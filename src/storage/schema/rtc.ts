import type { ServerName, UserId } from '../../core/ids.ts'

/** The tables of group calls: `migrations/0017_rtc.sql`. */
export type RtcTables = {
  delegated_leaves: DelegatedLeaveRow
  livekit_probe: { is_only: boolean; room: string }
}

export type DelegatedLeaveRow = {
  livekit_room: string
  identity: string
  user_id: UserId
  server_name: ServerName
  base_url: string | null
  delay_id: string
  delay_ms: number
  restarted_ts: number
  connected: boolean
  gone_ts: number
  ready_ts: number
}
