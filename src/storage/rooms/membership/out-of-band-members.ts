import { sql } from 'kysely'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'

/**
 * An out-of-band membership: a room in a user's lists that the user has not joined, and the sender of the membership
 * event.
 */
export type OutOfBandMember = {
  room_id: RoomId
  sender: UserId
  membership: string
  /** Root of the state before the user's member event. */
  state_before: number | null
}

/**
 * Returns the rooms to which a user is invited, or that the user left, was kicked or banned from, and that are in the
 * user's lists.
 */
export async function loadOutOfBandMembers(db: Db, userId: UserId): Promise<OutOfBandMember[]> {
  const { rows } = await sql<OutOfBandMember>`select room_lists.room_id, sender, membership, state_before
    from room_lists join events using (event_nid)
    where user_id = ${userId} and is_listed and membership in ('invite', 'leave', 'ban')`.execute(db.sql)
  return rows
}
