import type { RoomId, UserId } from '../../core/ids.ts'

/** The stream of all changes: `migrations/0001_engine.sql`. */
export type StreamTables = { stream: StreamRow }

export type StreamRow = {
  stream_position: number
  kind: string
  room_id: RoomId | null
  user_id: UserId | null
  ref: number | null
  detail: string | null
}

/** The kinds of stream rows. Each says something changed; the thing itself is read from its own table. */
export type StreamKind =
  | 'event'
  /** A member's event became current, or ceased to be, other than by just having been sent: forks were resolved. `ref`: the event, if any. */
  | 'state'
  /** What is known of an event beside the PDU is other than it was. */
  | 'event_changed'
  /** An event of before was fetched into its place: no news for anybody, but searches may find it. `detail` as of events. */
  | 'history'
  | 'receipt'
  | 'typing'
  | 'account_data'
  | 'presence'
  | 'to_device'
  | 'one_time_keys'
  | 'device_list'
  | 'profile'
  /** A room has other aliases than before; `detail` is its id, for it concerns application services only. */
  | 'alias'
  | 'pusher'
  | 'delayed_event'
  | 'thread_subscription'
  /** What a user has sent is erased. `detail`: the user. */
  | 'erasure'
  /** This server came into a room (again), whose members it was told all at once. `detail`: the room, whose members are not woken by it. */
  | 'room_entered'
  /** This server came into a room without knowing all its members (storage/rooms/membership/partial-rooms.ts). */
  | 'room_partial'
  /** All members of a room are known, and were written in bulk, without a row for each; `detail`: 'encrypted' if they encrypt. */
  | 'room_complete'

/** A row before it has its position. `room_id`: whom it concerns are the room's members; `user_id`: this user beyond that. */
export type NewStreamRow = {
  kind: StreamKind
  room_id: RoomId | null
  user_id: UserId | null
  ref: number | null
  detail: string | null
}
