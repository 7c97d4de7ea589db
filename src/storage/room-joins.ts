import { sql } from 'kysely'
import type { RoomId } from '../core/ids.ts'
import type { Db, Tx } from './database.ts'

/** Notes that this server is about to be in a room. */
export async function beginRoomJoin(tx: Tx, roomId: RoomId, expiresTs: number): Promise<void> {
  await sql`insert into room_joins (room_id, expires_ts) values (${roomId}, ${expiresTs}::bigint)
    on conflict (room_id) do update set expires_ts = excluded.expires_ts`.execute(tx.sql)
}

/** Notes that a join is over, whether or not it has succeeded. */
export async function endRoomJoin(tx: Tx, roomId: RoomId): Promise<void> {
  await sql`delete from room_joins where room_id = ${roomId}`.execute(tx.sql)
}

/** Whether one of some rooms is being joined. */
export async function isAnyBeingJoined(db: Db, roomIds: readonly RoomId[], now: number): Promise<boolean> {
  const { rows } = await sql`select 1 from room_joins where room_id = any(${roomIds}::text[])
    and expires_ts > ${now}::bigint limit 1`.execute(db.sql)
  return rows.length > 0
}
