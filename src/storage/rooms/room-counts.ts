import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** Returns the rooms after this one, in the order of their IDs. */
export async function loadRoomsAfter(db: Db, after: string, limit: number): Promise<RoomId[]> {
  const { rows } = await sql<{ room_id: RoomId }>`select room_id from rooms where room_id > ${after}
    order by room_id limit ${limit}::int`.execute(db.sql)
  return rows.map(({ room_id }) => room_id)
}

/** Stores how many events the state of a room has, members aside. */
export async function updateOtherStateCount(tx: Tx, roomId: RoomId, count: number): Promise<void> {
  await sql`update rooms set other_state_events = ${count}::int where room_id = ${roomId}`.execute(tx.sql)
}
