import { sql } from 'kysely'
import type { RoomId } from '../core/ids.ts'
import { ROOM_VERSIONS } from '../core/room-versions.ts'
import type { Db } from './database.ts'
import type { RoomHead } from './locked-room.ts'
import type { RoomHeadRow } from './schema.ts'

/** Where a room stands now, without locking it; undefined when this server does not have the room. */
export async function findRoomHead(db: Db, roomId: RoomId): Promise<RoomHead | undefined> {
  const { rows } = await sql<RoomHeadRow>`select * from room_heads where room_id = ${roomId}`.execute(db.sql)
  const row = rows[0]
  if (!row) return undefined
  const version = ROOM_VERSIONS.get(row.room_version)
  if (!version) throw new Error(`room ${roomId} has the unknown version ${row.room_version}`)
  return { ...row, version }
}
