import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** Returns the administrator who blocked a room; undefined if it is not blocked. */
export async function findRoomBlocker(db: Db, roomId: RoomId): Promise<UserId | undefined> {
  const { rows } = await sql<{ blocked_by: UserId }>`select blocked_by from room_blocks
    where room_id = ${roomId}`.execute(db.sql)
  return rows[0]?.blocked_by
}

/** Blocks a room; one that is blocked stays as it is. */
export async function insertRoomBlock(
  tx: Tx,
  { roomId, by, now }: { roomId: RoomId; by: UserId; now: number },
): Promise<void> {
  await sql`insert into room_blocks (room_id, blocked_by, blocked_ts) values (${roomId}, ${by}, ${now}::bigint)
    on conflict (room_id) do nothing`.execute(tx.sql)
}

export async function deleteRoomBlock(tx: Tx, roomId: RoomId): Promise<void> {
  await sql`delete from room_blocks where room_id = ${roomId}`.execute(tx.sql)
}
