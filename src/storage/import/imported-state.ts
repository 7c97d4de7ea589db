import { sql } from 'kysely'
import type { EventId, RoomId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'
import type { Tables } from '../schema/tables.ts'

/** The values of a room that verification compares. */
export type ImportedRoomState = {
  room_id: RoomId
  room_version: string
  state_root: number
  forward_extremities: EventId[]
}

/** Returns rooms after one, in order of their ids. */
export async function loadImportedRooms(db: Db, after: string, limit: number): Promise<ImportedRoomState[]> {
  const { rows } = await sql<ImportedRoomState>`select room_id, room_version, state_root, forward_extremities
    from room_heads where room_id > ${after} order by room_id limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Counts the rows of a table. It reads all of them. */
export async function countRows(db: Db, table: keyof Tables): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from ${sql.table(table)}`.execute(db.sql)
  return rows[0]!.count
}
