import { sql } from 'kysely'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import type { RoomMembershipRow } from '../../schema/rooms.ts'

/** A room's newest state and event, and a user's current membership. */
export type RoomReader = {
  stateRoot: number
  lastOrder: number
  /** Undefined: the user never had a membership. */
  membership: RoomMembershipRow | undefined
}

type Row = { state_root: number; next_order: number } & (
  | RoomMembershipRow
  | { [Column in keyof RoomMembershipRow]: null }
)

/** Returns the data that every read of a room needs, in one query; undefined if this server does not have the room. */
export async function findRoomReader(db: Db, roomId: RoomId, userId: UserId): Promise<RoomReader | undefined> {
  const { rows } = await sql<Row>`select heads.state_root, heads.next_order, members.* from room_heads as heads
    left join room_memberships as members on members.room_id = heads.room_id and members.user_id = ${userId}
    where heads.room_id = ${roomId}`.execute(db.sql)
  const [row] = rows
  if (!row) return undefined
  const { state_root, next_order, ...membership } = row
  return {
    stateRoot: state_root,
    lastOrder: next_order - 1,
    membership: membership.user_id === null ? undefined : membership,
  }
}
