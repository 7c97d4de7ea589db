import { type Kysely, sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { NewStreamRow } from '../schema/stream.ts'
import type { Tables } from '../schema/tables.ts'

/**
 * Adds a row for each room of the users whose device lists changed, for that is whom it concerns.
 * Holds the stream lock while it looks, so the memberships are those of all transactions that come before this one in the stream: of a join and
 * a change of devices at the same time, one always sees the other.
 */
export async function addDeviceListRooms(transaction: Kysely<Tables>, rows: NewStreamRow[]): Promise<void> {
  const users = new Set(rows.filter(concernsRooms).map((row) => row.user_id))
  if (users.size === 0) return
  await sql`select pg_advisory_xact_lock(7241980)`.execute(transaction)
  const rooms = await sql<{ user_id: UserId; room_id: RoomId }>`select user_id, room_id from room_memberships
    where user_id = any(${[...users]}::text[]) and membership = 'join'`.execute(transaction)
  for (const room of rooms.rows) rows.push({ kind: 'device_list', ...room, ref: null, detail: null })
}

/**
 * Whether a row of the stream tells those who share a room with its user that they have to look at the user's keys again: what a user signed of others'
 * keys is only the user's own affair, and clients know no devices without keys.
 */
export function concernsRooms({ kind, detail }: { kind: string; detail: string | null }): boolean {
  return kind === 'device_list' && !/^(signatures|keyless) /.test(detail ?? '')
}
