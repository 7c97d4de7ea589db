import { sql } from 'kysely'
import type { EventId, RoomId, UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'

/** Returns a user's unredacted annotations of an event with events of one type. */
export async function findAnnotations(
  db: Db,
  { roomId, parent, sender, type }: { roomId: RoomId; parent: EventId; sender: UserId; type: string },
): Promise<number[]> {
  const { rows } = await sql<{ event_nid: number }>`select event_nid from events where relates_to = ${parent}
    and room_id = ${roomId} and rel_type = 'm.annotation' and sender = ${sender} and type = ${type}`.execute(db.sql)
  return rows.map((row) => row.event_nid)
}
