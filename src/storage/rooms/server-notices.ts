import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

/** The constraint that limits each user to one notices room. */
export const ONE_NOTICES_ROOM = 'server_notice_rooms_pkey'

/** Returns a user's server notices room; undefined if there is none yet. */
export async function findNoticesRoom(db: Db, userId: UserId): Promise<RoomId | undefined> {
  const { rows } = await sql<{ room_id: RoomId }>`select room_id from server_notice_rooms
    where user_id = ${userId}`.execute(db.sql)
  return rows[0]?.room_id
}

/** Makes a room a user's notices room. Violates `ONE_NOTICES_ROOM` if there is one. */
export async function insertNoticesRoom(tx: Tx, userId: UserId, roomId: RoomId): Promise<void> {
  await tx.sql.insertInto('server_notice_rooms').values({ user_id: userId, room_id: roomId }).execute()
}

/** Forgets which room the notices to a user were sent in, when the account is erased. */
export async function deleteNoticesRoom(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('server_notice_rooms').where('user_id', '=', userId).execute()
}
