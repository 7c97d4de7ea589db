import type { DeviceId, EventId, RoomAlias, RoomId, ServerName, UserId } from '../../core/ids.ts'
import type { Membership } from '../../core/rooms/membership.ts'

/** Tables of rooms, their events and their state: `migrations/0005_rooms.sql`. */
export type RoomTables = {
  room_heads: RoomHeadRow & { begin_depth: number; activity: number; bump: number }
  rooms: RoomRow
  events: EventRow
  state_packs: { pack_nid: number; room_id: RoomId; nodes: Uint8Array }
  room_memberships: RoomMembershipRow
  room_blocks: { room_id: RoomId; blocked_by: UserId; blocked_ts: number }
  missing_prev_events: { room_id: RoomId; event_id: EventId; referrer_order: number }
  early_redactions: { redacts: string; event_id: EventId; room_id: RoomId }
  redacted_state: { room_id: RoomId; event_order: number; event_nid: number }
  room_aliases: { room_alias: RoomAlias; room_id: RoomId; creator: UserId }
  thread_subscriptions: ThreadSubscriptionRow
  room_joins: { room_id: RoomId; join_id: string; room_version: string; expires_ts: number }
  room_contacts: { room_id: RoomId; user_id: UserId; server_name: ServerName }
  stripped_states: { event_nid: number; events: string }
  out_of_band_rooms: { room_id: RoomId; room_version: string }
  sticky_events: StickyEventRow
  server_notice_rooms: { user_id: UserId; room_id: RoomId }
}

export type RoomHeadRow = {
  room_id: RoomId
  room_version: string
  create_nid: number
  state_root: number
  depth: number
  next_order: number
  forward_extremities: EventId[]
  has_other_servers: boolean
  is_partial: boolean
  recomputations: number
  sticky_until: number
}

export type RoomRow = {
  room_id: RoomId
  room_version: string
  creator: UserId
  in_directory: boolean
  name: string | null
  topic: string | null
  canonical_alias: RoomAlias | null
  avatar_url: string | null
  join_rule: string | null
  guest_access: string | null
  history_visibility: string | null
  room_type: string | null
  encryption: string | null
  tombstone: RoomId | null
  max_lifetime: number | null
  min_lifetime: number | null
  federatable: boolean
  joined_members: number
  invited_members: number
  joined_local_members: number
  member_events: number
  other_state_events: number
}

export type EventRow = {
  event_nid: number
  event_id: EventId
  room_id: RoomId
  event_order: number | null
  type: string
  state_key: string | null
  sender: UserId
  origin_server_ts: number
  depth: number
  json: string
  state_before: number | null
  state_after: number | null
  room_before: number | null
  room_after: number | null
  rejected: string | null
  soft_failed: boolean
  soft_failed_reason: string | null
  redacted_by: EventId | null
  relates_to: string | null
  rel_type: string | null
  txn_device_id: DeviceId | null
  txn_id: string | null
  delay_id: string | null
}

export type RoomMembershipRow = {
  room_id: RoomId
  user_id: UserId
  membership: Membership
  event_nid: number
  displayname: string | null
  avatar_url: string | null
  forgotten: boolean
}

type StickyEventRow = {
  event_nid: number
  room_id: RoomId
  sender: UserId
  is_ours: boolean
  soft_failed: boolean
  expires_ts: number
}

export type ThreadSubscriptionRow = {
  user_id: UserId
  room_id: RoomId
  thread_id: EventId
  subscribed: boolean
  automatic: boolean
  ended_order: number | null
  change_nid: number
}
