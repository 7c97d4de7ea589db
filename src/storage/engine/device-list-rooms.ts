import { type Kysely, sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { NewStreamRow } from '../schema/stream.ts'
import type { Tables } from '../schema/tables.ts'

/**
 * Adds a stream row for each room of the users whose device lists changed. Holds the stream lock while it reads
 * memberships, so it sees those of all earlier transactions in the stream. If a join and a device change happen at the
 * same time, one of them always sees the other.
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
 * Whether a stream row notifies users who share a room that the keys have changed. A user's signatures of other users'
 * keys concern only that user, and clients ignore devices without keys.
 */
export function concernsRooms({ kind, detail }: { kind: string; detail: string | null }): boolean {
  return kind === 'device_list' && !/^(signatures|keyless) /.test(detail ?? '')
}
