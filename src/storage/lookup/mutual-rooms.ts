import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'

/**
 * Returns a page of the rooms that two users have both joined, by id, after the room `from`; and their total number.
 */
export async function loadMutualRooms(
  db: Db,
  { users, from, limit }: { users: readonly [UserId, UserId]; from: RoomId | undefined; limit: number },
): Promise<{ count: number; rooms: RoomId[] }> {
  const { rows } = await sql<{ count: number; rooms: RoomId[] | null }>`with mutual as (
      select room_id from room_memberships as one join room_memberships as other using (room_id)
      where one.user_id = ${users[0]} and other.user_id = ${users[1]}
        and one.membership = 'join' and other.membership = 'join'
    ) select (select count(*)::int from mutual) as count, (select array_agg(room_id order by room_id) from (
        select room_id from mutual where room_id > ${from ?? ''} order by room_id limit ${limit}::int) as page) as rooms`.execute(
    db.sql,
  )
  return { count: rows[0]!.count, rooms: rows[0]!.rooms ?? [] }
}
