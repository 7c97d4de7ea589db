import type { DeviceId, UserId } from '../../core/ids.ts'

/** Tables of identity providers: `migrations/0016_sign_in.sql`. */
export type UpstreamTables = {
  upstream_links: UpstreamLinkRow
  upstream_requests: UpstreamRequestRow
  upstream_sessions: UpstreamSessionRow
  upstream_devices: { user_id: UserId; device_id: DeviceId; session_nid: number }
  upstream_logouts: { provider_id: string; token_id_hash: string; expires_ts: number }
}

export type UpstreamLinkRow = {
  provider_id: string
  subject: string
  user_id: UserId
  label: string
  linked_ts: number
}

export type UpstreamRequestRow = {
  state_hash: string
  provider_id: string
  browser_hash: string
  nonce: string
  code_verifier: string
  continue_path: string | null
  link_to: UserId | null
  again_since_ts: number | null
  answered: boolean
  identity: string | null
  expires_ts: number
}

export type UpstreamSessionRow = {
  session_nid: number
  provider_id: string
  subject: string
  sid: string | null
  user_id: UserId
  created_ts: number
}
