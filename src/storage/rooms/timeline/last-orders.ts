import { sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import { sharedLoads } from '../../engine/shared-loads.ts'

/**
 * Returns the event_order of the newest event of each of some rooms; shared, because all members of a room request it
 * when a user has read or typed something.
 */
export const loadLastOrdersOf = sharedLoads<RoomId, number>(
  async (db, roomIds) => {
    const { rows } = await sql<{ room_id: RoomId; last_order: number }>`select room_id, next_order - 1 as last_order
      from room_heads where room_id = any(${roomIds}::text[])`.execute(db.sql)
    return new Map(rows.map((row) => [row.room_id, row.last_order]))
  },
  { whileReading: false },
)
