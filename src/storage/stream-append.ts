import { type Kysely, sql } from 'kysely'
import type { RoomId, UserId } from '../core/ids.ts'
import type { Tx } from './database.ts'
import type { Tables } from './schema.ts'

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
  /** This server came into a room without knowing all its members (storage/partial-rooms.ts). */
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

/** Notes that something happened; the row gets its position when the transaction commits (storage/database.ts). */
export function appendToStream(tx: Tx, row: { kind: StreamKind } & Partial<NewStreamRow>): void {
  tx.streamRows.push({ room_id: null, user_id: null, ref: null, detail: null, ...row })
}

/**
 * Writes the rows and returns the position of the last one; undefined when there are none. The transaction's last write: from here until the commit the
 * stream lock is held. Invariant of the lock: when position n can be seen, all positions below it that will ever exist can be seen.
 */
export async function appendStreamRows(
  transaction: Kysely<Tables>,
  rows: readonly NewStreamRow[],
): Promise<number | undefined> {
  if (rows.length === 0) return undefined
  const result = await sql<{ position: number }>`select append_to_stream(
    ${rows.map((row) => row.kind)}::text[], ${rows.map((row) => row.room_id)}::text[], ${rows.map((row) => row.user_id)}::text[],
    ${rows.map((row) => row.ref)}::bigint[], ${rows.map((row) => row.detail)}::text[]) as position`.execute(transaction)
  return result.rows[0]!.position
}
