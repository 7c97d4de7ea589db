import type { UserId } from '../../core/ids.ts'

/** Tables of signing in on pages (`migrations/0016_sign_in.sql`). */
export type SignInTables = {
  web_sessions: WebSessionRow
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
  expires_ts: number
}
