import type { Generated } from 'kysely'
import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'

/** Tables of accounts (`migrations/0002_users.sql`), and of devices and their tokens (`0003_devices.sql`). */
export type UserTables = {
  users: UserRow
  account_renewals: { user_id: UserId; token_hash: string }
  devices: DeviceRow
  refresh_tokens: RefreshTokenRow
  access_tokens: AccessTokenRow
  login_tokens: ExpiringToken & { device_id: DeviceId | null; upstream_session_nid: number | null }
  openid_tokens: ExpiringToken
  uia_sessions: UiaSessionRow
  registration_nonces: { nonce: string; expires_ts: number }
  registration_tokens: RegistrationTokenRow
  profiles: ProfileRow
  listed_users: {
    user_id: UserId
    displayname: string | null
    avatar_url: string | null
    searched: string
    last_seen_ts: number | null
  }
  account_data: { user_id: UserId; room_id: RoomId | ''; type: string; content: string }
  push_rules: { user_id: UserId; overlay: string }
  filters: { user_id: UserId; filter_id: string; filter: string }
  erasures: ErasureRow
}

export type UserRow = {
  user_id: UserId
  password_hash: string | null
  in_directory: boolean
  is_admin: boolean
  is_guest: boolean
  created_ts: number
  deactivated_ts: number | null
  erased: boolean
  locked: boolean
  locked_ts: number | null
  suspended: boolean
  shadow_banned: boolean
  exempt_from_rate_limits: boolean
  language: string | null
  sign_in_mails: boolean
  valid_until_ts: number | null
  renewal_mailed_ts: number | null
  user_type: string | null
  messages_per_second: number | null
  message_burst: number | null
}

/** A device of a user. */
export type DeviceKey = { userId: UserId; deviceId: DeviceId }

export type DeviceRow = {
  user_id: UserId
  device_id: DeviceId
  display_name: string | null
  created_ts: number
  last_seen_ts: number | null
  last_seen_ip: string | null
  last_seen_user_agent: string | null
}

export type RefreshTokenRow = {
  token_hash: string
  user_id: UserId
  device_id: DeviceId | null
  oauth_session_nid: number | null
  salt: string
  replaces: string | null
  family_hash: string
  generation: number
  retired_ts: number | null
  is_restored: Generated<boolean>
}

export type AccessTokenRow = {
  token_hash: string
  user_id: UserId
  device_id: DeviceId | null
  scope: string | null
  expires_ts: number | null
  last_used_ts: number | null
  refresh_token_hash: string | null
}

export type UiaSessionRow = {
  session_id: string
  operation: string
  body: string
  secret_hash: string | null
  completed: string
  claimed: boolean
  note: string | null
  user_id: UserId | null
  expires_ts: number
}

export type RegistrationTokenRow = {
  token: string
  uses_allowed: number | null
  uses_completed: number
  created_ts: number
  last_used_ts: number | null
  expires_ts: number | null
  revoked_ts: number | null
}

export type ProfileRow = { user_id: UserId; displayname: string | null; avatar_url: string | null; fields: string }

type ExpiringToken = { token_hash: string; user_id: UserId; expires_ts: number }

export type ErasureRow = { user_id: UserId; room_id: RoomId; state_root: number }
