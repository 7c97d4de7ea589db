import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { appendToStream } from '../engine/stream-append.ts'
import type { ErasureRow } from '../schema/users.ts'

/** Records that a user's events are erased, with the current state of each of the user's rooms. */
export async function noteErasure(tx: Tx, userId: UserId): Promise<void> {
  await sql`insert into erasures (user_id, room_id, state_root)
    select ${userId}, room_id, state_root from room_memberships join room_heads using (room_id) where user_id = ${userId}
    on conflict do nothing`.execute(tx.sql)
  appendToStream(tx, { kind: 'erasure', detail: userId })
}

/** Ends the erasure of a user's events. */
export async function endErasure(tx: Tx, userId: UserId): Promise<void> {
  await tx.sql.deleteFrom('erasures').where('user_id', '=', userId).execute()
  appendToStream(tx, { kind: 'erasure_ended', detail: userId })
}

export async function loadErasedUsers(db: Db): Promise<UserId[]> {
  const { rows } = await sql<{ user_id: UserId }>`select user_id from users where erased`.execute(db.sql)
  return rows.map((row) => row.user_id)
}

/** Returns the states of rooms when these users were erased. */
export async function loadErasures(
  db: Db,
  userIds: readonly UserId[],
  roomIds: readonly RoomId[],
): Promise<ErasureRow[]> {
  const { rows } = await sql<ErasureRow>`select * from erasures
    where user_id = any(${userIds}::text[]) and room_id = any(${roomIds}::text[])`.execute(db.sql)
  return rows
}
