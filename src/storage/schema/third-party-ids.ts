import type { UserId } from '../../core/ids.ts'

/** Tables of third-party ids and of the proofs of e-mail addresses: `migrations/0002_users.sql`. */
export type ThreepidTables = {
  threepids: ThreepidRow
  threepid_sessions: ThreepidSessionRow
}

export type ThreepidRow = {
  medium: string
  address: string
  user_id: UserId
  validated_ts: number
  added_ts: number
}

export type ThreepidSessionRow = {
  session_id: string
  purpose: string
  medium: string
  address: string
  client_secret: string
  user_id: UserId | ''
  token_hash: string
  send_attempt: number
  failed_attempts: number
  next_link: string | null
  validated_ts: number | null
  expires_ts: number
}
