import type { RoomId, UserId } from '../../core/ids.ts'
import type { Membership } from '../../core/rooms/membership.ts'

export type SlidingConnectionRow = {
  connection_nid: number
  user_id: UserId
  device_id: string
  conn_id: string
  issued: number
  answer: number
  base_answer: number
  configs: string
  shape: string
  used_ts: number
}

/** The state of a room as the client has it. */
export type KnownRoom = {
  /** '': the room is no longer shown. */
  membership: Membership | ''
  /** Root of the state. */
  state_root: number
  /** event_order of the last event; in rooms that the user is not in, the nid of the user's member event. */
  event_order: number
  /** The number of events at the end of the client's timeline without a gap. */
  events: number
  /** The index of the room's configuration among those of the connection. */
  config: number
  /** See `KNOWN`. */
  flags: number
  /** Nids of lazy-loaded member events that were sent since the last gap in the timeline, the latest last. */
  members: readonly number[]
}

/** Bits of KnownRoom.flags. */
export const KNOWN = {
  /** It was sent as a direct chat. */
  dm: 1,
  /** Account data, receipts, typing, sticky events and the members' profiles were sent, and changes follow. */
  accountData: 2,
  receipts: 4,
  typing: 8,
  sticky: 16,
  profiles: 32,
} as const

/** Tables of sliding sync: `migrations/0012_sliding_sync.sql`. */
export type SlidingSyncTables = {
  sliding_connections: SlidingConnectionRow
  sliding_rooms: { connection_nid: number; room_id: RoomId; answer: number } & KnownRoom & KnownBefore
}

/** The state that the client had at the previous answer. */
type KnownBefore = { [Column in keyof KnownRoom as `old_${Column}`]: KnownRoom[Column] }
