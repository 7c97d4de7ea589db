import { sql } from 'kysely'
import type { RoomId, ServerName } from '../core/ids.ts'
import type { Db } from './database.ts'

/** The servers that have joined members in a room, those with most of them first. */
export async function loadRoomServers(db: Db, roomId: RoomId, limit: number): Promise<ServerName[]> {
  const { rows } = await sql<{ server: ServerName }>`select substr(user_id, strpos(user_id, ':') + 1) as server
    from room_memberships where room_id = ${roomId} and membership = 'join'
    group by server order by count(*) desc, server limit ${limit}::int`.execute(db.sql)
  return rows.map((row) => row.server)
}
