import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'
import type { RoomRow } from '../schema/rooms.ts'

/** The summary of a room, and the root of its current state. */
export type SummarisedRoom = RoomRow & { state_root: number }

/** Returns the summaries of rooms that this server has. */
export async function loadSummarisedRooms(db: Db, roomIds: readonly RoomId[]): Promise<SummarisedRoom[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<SummarisedRoom>`select rooms.*, state_root from rooms join room_heads using (room_id)
    where room_id = any(${roomIds}::text[])`.execute(db.sql)
  return rows
}
