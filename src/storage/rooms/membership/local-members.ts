import { sql } from 'kysely'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import { MAY_ACT } from '../../users/active-users.ts'

/** Returns how many devices the joined local users of a room have. */
export async function countLocalDevices(db: Db, roomId: RoomId): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from room_lists join devices using (user_id)
    where room_id = ${roomId} and membership = 'join'`.execute(db.sql)
  return rows[0]!.count
}

/** Whether no local user has a membership of a room that the user has not forgotten. */
export async function isForgottenHere(db: Db, roomId: RoomId): Promise<boolean> {
  const { rows } = await sql`select 1 from room_lists where room_id = ${roomId} and not forgotten limit 1`.execute(
    db.sql,
  )
  return rows.length === 0
}

/** Returns local users who have joined a room and whose accounts may act, the preferred ones first. */
export async function loadJoinedAmongUsers(
  db: Db,
  roomId: RoomId,
  { preferred, limit }: { preferred: readonly string[]; limit: number },
): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from room_lists join users using (user_id)
    where room_id = ${roomId} and membership = 'join' and ${MAY_ACT}
    order by user_id = any(${preferred}::text[]) desc, user_id limit ${limit}::int`.execute(db.sql)
  return rows.map(({ user_id }) => user_id)
}
