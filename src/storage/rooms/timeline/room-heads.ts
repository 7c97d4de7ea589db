import { sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import { ROOM_VERSIONS } from '../../../core/room-versions.ts'
import type { Db } from '../../engine/database.ts'
import type { RoomHeadRow } from '../../schema/rooms.ts'
import type { LockedRoom, RoomHead } from './locked-room.ts'

/** Returns the head of a room without locking it; undefined if this server does not have the room. */
export async function findRoomHead(db: Db, roomId: RoomId): Promise<RoomHead | undefined> {
  const { rows } = await sql<RoomHeadRow>`select * from room_heads where room_id = ${roomId}`.execute(db.sql)
  return rows[0] && roomHead(rows[0])
}

/** Converts a row to a head. */
export function roomHead(row: RoomHeadRow): RoomHead {
  const version = ROOM_VERSIONS.get(row.room_version)
  if (!version) throw new Error(`room ${row.room_id} has the unknown version ${row.room_version}`)
  const { has_other_servers: _others, recomputations: _recomputations, sticky_until: _sticky, ...head } = row
  return { ...head, version }
}

/**
 * Records, when the room is stored, the depth of the event with which this server entered it: older events are history.
 */
export function noteBeginning(room: LockedRoom, roomId: RoomId, depth: number): void {
  room.writes.push(async (tx) => {
    await sql`update room_heads set begin_depth = ${depth}::bigint where room_id = ${roomId}`.execute(tx.sql)
  })
}

/** Returns the depth of the event with which this server last entered a room; 0 for rooms created here. */
export async function findBeginDepth(db: Db, roomId: RoomId): Promise<number> {
  const { rows } = await sql<{ begin_depth: number }>`select begin_depth from room_heads
    where room_id = ${roomId}`.execute(db.sql)
  return rows[0]?.begin_depth ?? 0
}
