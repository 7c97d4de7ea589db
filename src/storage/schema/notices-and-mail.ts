import type { RoomId, UserId } from '../../core/ids.ts'

/** Tables of server notices and e-mail: `migrations/0005_rooms.sql`, `0002_users.sql` and `0008_push.sql`. */
export type NoticesAndMailTables = {
  server_notice_rooms: { user_id: UserId; room_id: RoomId }
  threepids: ThreepidRow
  threepid_sessions: ThreepidSessionRow
  email_digests: { pusher_nid: number; mails_in_row: number; next_ts: number }
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
  next_link: string | null
  validated_ts: number | null
  expires_ts: number
}
