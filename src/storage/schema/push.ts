import type { DeviceId, RoomId, UserId } from '../../core/ids.ts'

/** Tables of notifications, pushers and digests by e-mail: `migrations/0008_push.sql`. */
export type PushTables = {
  notifications: NotificationRow
  notification_progress: { user_id: UserId; room_id: RoomId; counted_order: number }
  pushers: PusherRow
  push_queue: PushQueueRow
  email_digests: { pusher_nid: number; mails_in_row: number; next_ts: number }
  push_progress: { only_row: boolean; stream_position: number; leased_by: string | null; leased_until: number }
}

export type NotificationRow = {
  user_id: UserId
  room_id: RoomId
  event_order: number
  event_nid: number
  thread_id: string
  highlight: boolean
  actions: string
  is_read: boolean
}

export type PusherRow = {
  pusher_nid: number
  user_id: UserId
  app_id: string
  pushkey: string
  token_hash: string | null
  device_id: DeviceId | null
  kind: string
  app_display_name: string
  device_display_name: string
  profile_tag: string | null
  lang: string
  data: string
  pushkey_ts: number
  since_position: number
  leased_until: number
  retry_ts: number
  failures: number
  sent_unread: number | null
}

export type PushQueueRow = {
  queue_nid: number
  pusher_nid: number
  event_nid: number | null
  tweaks: string
  highlight: boolean
  queued_ts: number
}
