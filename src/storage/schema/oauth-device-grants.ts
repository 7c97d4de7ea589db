import type { UserId } from '../../core/ids.ts'

/** Table of device grants: `migrations/0015_oauth.sql`. */
export type OAuthDeviceGrantTables = { oauth_device_grants: OAuthDeviceGrantRow }

export type OAuthDeviceGrantRow = {
  device_code_hash: string
  user_code_hash: string
  client_id: string
  scope: string
  ip: string
  network: string
  wide_network: string
  created_ts: number
  expires_ts: number
  interval_ms: number
  polled_ts: number | null
  decided_ts: number | null
  user_id: UserId | null
  authenticated_ts: number | null
  granted_scope: string | null
  upstream_session_nid: number | null
}
