import { sql } from 'kysely'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'

/** A room in a user's lists that the user is not in, and by whom. */
export type OutsideMember = {
  room_id: RoomId
  sender: UserId
  membership: string
  /** Root of the state before the user's member event. */
  state_before: number | null
}

/** The rooms of a user's lists to which the user is invited or from which the user was sent away. */
export async function loadOutsideMembers(db: Db, userId: UserId): Promise<OutsideMember[]> {
  const { rows } = await sql<OutsideMember>`select room_lists.room_id, sender, membership, state_before
    from room_lists join events using (event_nid)
    where user_id = ${userId} and is_listed and membership in ('invite', 'leave', 'ban')`.execute(db.sql)
  return rows
}
