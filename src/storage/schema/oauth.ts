import type { DeviceId, UserId } from '../../core/ids.ts'

/** Tables of OAuth 2.0: `migrations/0015_oauth.sql`. */
export type OAuthTables = {
  oauth_clients: OAuthClientRow
  oauth_sessions: OAuthSessionRow
  oauth_requests: OAuthRequestRow
}

export type OAuthClientRow = { client_id: string; metadata: string; created_ts: number; expires_ts: number }

export type OAuthSessionRow = {
  session_nid: number
  client_id: string
  user_id: UserId
  device_id: DeviceId | null
  scope: string
  created_ts: number
  upstream_session_nid: number | null
}

export type OAuthRequestRow = {
  request_id: string
  client_id: string
  redirect_uri: string
  response_mode: 'query' | 'fragment'
  scope: string
  state: string
  nonce: string | null
  code_challenge: string
  prompt: string
  login_hint: string | null
  created_ts: number
  expires_ts: number
  user_id: UserId | null
  authenticated_ts: number | null
  granted_scope: string | null
  code_hash: string | null
  exchanged_ts: number | null
  session_nid: number | null
  upstream_session_nid: number | null
}
