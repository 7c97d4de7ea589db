import { type Kysely, sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { NewStreamRow } from '../schema/stream.ts'
import type { Tables } from '../schema/tables.ts'

/**
 * Adds a stream row for each room of the users whose device lists or profiles changed. Holds the stream lock while it
 * reads memberships, so it sees those of all earlier transactions in the stream. If a join and such a change happen at
 * the same time, one of them always sees the other.
 */
export async function addRowsOfRooms(transaction: Kysely<Tables>, rows: NewStreamRow[]): Promise<void> {
  const causes = distinct(rows.flatMap(rowForRooms))
  if (causes.length === 0) return
  const users = [...new Set(causes.map((row) => row.user_id))]
  await sql`select pg_advisory_xact_lock(7241980)`.execute(transaction)
  const rooms = await sql<{ user_id: UserId; room_id: RoomId }>`select user_id, room_id from room_memberships
    where user_id = any(${users}::text[]) and membership = 'join'`.execute(transaction)
  for (const room of rooms.rows)
    for (const cause of causes) if (cause.user_id === room.user_id) rows.push({ ...cause, ...room })
}

/** Returns the rows that users who share a room get for a row without a room. */
function rowForRooms(row: NewStreamRow): NewStreamRow[] {
  if (row.room_id !== null || row.user_id === null) return []
  if (row.kind === 'profile') return [row]
  return concernsRooms(row) ? [{ ...row, ref: null, detail: null }] : []
}

function distinct(rows: readonly NewStreamRow[]): NewStreamRow[] {
  return [...new Map(rows.map((row) => [JSON.stringify([row.kind, row.user_id, row.detail]), row])).values()]
}

/**
 * Whether a stream row notifies users who share a room that the keys have changed. A user's signatures of other users'
 * keys concern only that user, and clients ignore devices without keys.
 */
export function concernsRooms({ kind, detail }: { kind: string; detail: string | null }): boolean {
  return kind === 'device_list' && !/^(signatures|keyless) /.test(detail ?? '')
}
