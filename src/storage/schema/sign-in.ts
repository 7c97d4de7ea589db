import type { UserId } from '../../core/ids.ts'

/** Tables of signing in on pages (`migrations/0016_sign_in.sql`). */
export type SignInTables = {
  web_sessions: WebSessionRow
  totp_secrets: TotpSecretRow
  recovery_codes: { user_id: UserId; code_hash: string }
  passkeys: PasskeyRow
  personal_tokens: PersonalTokenRow
  spent_challenges: { challenge_hash: string; expires_ts: number }
}

export type WebSessionRow = {
  cookie_hash: string
  user_id: UserId | null
  pending_user_id: UserId | null
  authenticated_ts: number
  created_ts: number
  last_seen_ts: number
  last_seen_ip: string | null
  last_seen_user_agent: string | null
  is_expected: boolean
  expires_ts: number
  upstream_session_nid: number | null
}

export type TotpSecretRow = {
  user_id: UserId
  secret: string | null
  last_used_step: number
  pending_secret: string | null
}

export type PasskeyRow = {
  credential_id: string
  user_id: UserId
  public_key: string
  counter: number
  transports: string
  name: string
  created_ts: number
  last_used_ts: number | null
}

export type PersonalTokenRow = {
  token_id: string
  token_hash: string
  user_id: UserId
  name: string
  created_ts: number
}
