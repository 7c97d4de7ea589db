import { sql } from 'kysely'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Db, Tx } from '../../engine/database.ts'

/** Clients that have not synced for this long do not learn that a room was deleted. */
const KEPT_MS = 365 * 24 * 60 * 60_000

/**
 * Returns the user's last member events in rooms that were deleted, as JSON in the client format without room_id. Rooms
 * of which the user has a membership again are omitted.
 */
export async function loadDepartures(
  db: Db,
  userId: UserId,
  roomIds: readonly string[],
): Promise<{ room_id: RoomId; event: string }[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ room_id: RoomId; event: string }>`select room_id, event from room_departures
    where user_id = ${userId} and room_id = any(${roomIds}::text[]) and not exists (select 1 from room_memberships
      where room_memberships.room_id = room_departures.room_id and room_memberships.user_id = ${userId})`.execute(
    db.sql,
  )
  return rows
}

export async function deleteOldDepartures(tx: Tx, now: number): Promise<void> {
  await sql`delete from room_departures where departed_ts < ${now - KEPT_MS}::bigint`.execute(tx.sql)
}

export async function deleteDepartures(tx: Tx, userId: UserId): Promise<void> {
  await sql`delete from room_departures where user_id = ${userId}`.execute(tx.sql)
}
