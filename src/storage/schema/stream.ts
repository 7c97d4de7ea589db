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

/** The kinds of stream rows. A row says that something changed; the data is in its own table. */
export type StreamKind =
  | 'event'
  /** A member's event became current, or no longer is, because forks were resolved. `ref`: the event, if any. */
  | 'state'
  /** The metadata of an event changed. */
  | 'event_changed'
  /**
   * A fetched historical event was inserted. It wakes nobody, but searches may find it. Redactions have their room and
   * the `detail` of events, since they change what caches and clients have.
   */
  | 'history'
  | 'receipt'
  | 'typing'
  | 'account_data'
  | 'presence'
  | 'to_device'
  | 'one_time_keys'
  | 'device_list'
  | 'profile'
  /** The aliases of a room changed; `detail` is its id, because only application services need it. */
  | 'alias'
  | 'pusher'
  | 'delayed_event'
  /** A participant of a call handed over their leave event, or LiveKit reported a change. */
  | 'delegated_leave'
  | 'thread_subscription'
  /**
   * A sticky event arrived (`ref`), or is no longer soft-failed; `detail`: until when it is sticky, in milliseconds
   * since 1970. Unless it is history, it has a row of kind 'event' too.
   */
  | 'sticky'
  /** Media was quarantined, or no longer is. `detail`: JSON array of server name, media ID, and whether it is. */
  | 'media_quarantine'
  /** A user's events are erased, or no longer are. `detail`: the user. */
  | 'erasure_ended'
  | 'erasure'
  /**
   * This server joined a room (again) and received all its members in bulk. `detail`: the room, whose members are not
   * woken by it.
   */
  | 'room_entered'
  /**
   * A room was deleted, or the deletion of its rows has ended. `detail`: the room. Its own rows in the stream are deleted.
   */
  | 'room_removed'
  /**
   * Events of a room's history were deleted, or the states of its events were replaced. `detail`: the room. Rows may
   * still refer to deleted events.
   */
  | 'history_purged'
  /**
   * The user was in a room that was deleted. `detail`: the room; `ref`: the stream position of the leave before, which
   * clients that have read so far know; null: all clients may need it.
   */
  | 'departure'
  /** This server joined a room with partial state (storage/rooms/membership/partial-rooms.ts). */
  | 'room_partial'
  /**
   * A room is no longer partial: its members were written in bulk, without a row for each; `detail`: 'encrypted' if
   * they encrypt.
   */
  | 'room_complete'
  /** The signing key of this server was rotated. */
  | 'signing_key'
  /** A backup was restored: positions between this row and the one before were given out by the lost database. */
  | 'restored'

/** A row before it has its position. `room_id`: it concerns the room's members; `user_id`: also this user. */
export type NewStreamRow = {
  kind: StreamKind
  room_id: RoomId | null
  user_id: UserId | null
  ref: number | null
  detail: string | null
}
