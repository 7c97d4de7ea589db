import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'

/**
 * If more than `most` rooms have events that their members' room lists do not contain yet, writes `limit` of them, the
 * least active ones, into the lists; returns their number. Appending an event locks the row of the room's head, as this
 * does, so no event is lost.
 */
export async function settleRooms(tx: Tx, { most, limit }: { most: number; limit: number }): Promise<number> {
  const { rows } = await sql<{ room_id: RoomId }>`select room_id from room_heads where room_id in (
      select room_id from active_rooms join room_heads using (room_id) order by activity desc offset ${most}::int)
    order by room_id limit ${limit}::int for update skip locked`.execute(tx.sql)
  const roomIds = rows.map((row) => row.room_id)
  if (roomIds.length === 0) return 0
  await sql`update room_lists set activity = room_heads.activity from room_heads where room_heads.room_id = room_lists.room_id
    and room_lists.room_id = any(${roomIds}::text[]) and room_lists.membership = 'join'`.execute(tx.sql)
  await sql`delete from active_rooms where room_id = any(${roomIds}::text[])`.execute(tx.sql)
  return roomIds.length
}
