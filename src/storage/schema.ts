import type { DeviceId, EventId, RoomAlias, RoomId, UserId } from '../core/ids.ts'
import type { AppserviceTables } from './appservices-schema.ts'
import type { DelayedEventTables } from './delayed-events-schema.ts'
import type { EncryptionTables } from './encryption-schema.ts'
import type { EphemeralTables } from './ephemeral-schema.ts'
import type { ErasureTables } from './erasures.ts'
import type { FederationTables } from './federation-schema.ts'
import type { JobTables } from './jobs-schema.ts'
import type { MediaTables } from './media-schema.ts'
import type { NoticesAndMailTables } from './notices-and-mail-schema.ts'
import type { NotificationTables } from './notifications-schema.ts'
import type { PresenceTables } from './presence-schema.ts'
import type { RateLimitTables } from './rate-limits.ts'
import type { RendezvousTables } from './rendezvous.ts'
import type { ReportTables } from './reports-schema.ts'
import type { SearchTables } from './search-schema.ts'
import type { ServerKeyTables } from './server-keys-schema.ts'
import type { SlidingSyncTables } from './sliding-sync-schema.ts'
import type { ThreadSubscriptionRow } from './thread-subscriptions.ts'
import type { UserTables } from './users-schema.ts'

/** The tables as kysely sees them; `migrations/` has their meaning. bigint columns arrive as numbers (all stay below 2^53). */
export type Tables = UserTables &
  MediaTables &
  EphemeralTables &
  EncryptionTables &
  NotificationTables &
  NoticesAndMailTables &
  PresenceTables &
  SearchTables &
  JobTables &
  ErasureTables &
  RateLimitTables &
  ServerKeyTables &
  FederationTables &
  AppserviceTables &
  ReportTables &
  RendezvousTables &
  DelayedEventTables &
  SlidingSyncTables & {
    server_secrets: { name: string; value: string }
    room_heads: RoomHeadRow & { begin_depth: number }
    rooms: RoomRow
    events: EventRow
    state_packs: { pack_nid: number; room_id: RoomId; nodes: Uint8Array }
    room_memberships: RoomMembershipRow
    missing_prev_events: { room_id: RoomId; event_id: EventId; referrer_order: number }
    early_redactions: { redacts: string; event_id: EventId }
    redacted_state: { room_id: RoomId; event_order: number; event_nid: number }
    room_aliases: { room_alias: RoomAlias; room_id: RoomId; creator: UserId }
    stream: StreamRow
    thread_subscriptions: ThreadSubscriptionRow
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
  restatements: number
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
  joined_members: number
  invited_members: number
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
  redacted_by: EventId | null
  relates_to: string | null
  rel_type: string | null
  txn_device_id: DeviceId | null
  txn_id: string | null
  delay_id: string | null
}

export type Membership = 'join' | 'invite' | 'leave' | 'ban' | 'knock'

export type RoomMembershipRow = {
  room_id: RoomId
  user_id: UserId
  membership: Membership
  event_nid: number
  displayname: string | null
  avatar_url: string | null
  forgotten: boolean
}

export type StreamRow = {
  stream_position: number
  kind: string
  room_id: RoomId | null
  user_id: UserId | null
  ref: number | null
  detail: string | null
}
