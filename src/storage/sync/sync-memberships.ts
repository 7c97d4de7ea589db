import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Membership } from '../../core/rooms/membership.ts'
import type { Db } from '../engine/database.ts'

/** Returns a user's rooms (joined, invited, knocked) and the stream position of the same snapshot. */
export async function loadMembershipsAtPosition(
  db: Db,
  userId: UserId,
): Promise<{ position: number; memberships: { room_id: RoomId; membership: Membership; event_nid: number }[] }> {
  const { rows } = await sql<{ position: number; room_id: RoomId | null; membership: Membership; event_nid: number }>`
    select position, room_id, membership, event_nid
    from (select coalesce(max(stream_position), 0) as position from stream) as newest
    left join room_lists on user_id = ${userId} and membership in ('join', 'invite', 'knock')`.execute(db.sql)
  return {
    position: rows[0]?.position ?? 0,
    memberships: rows.flatMap(({ room_id, membership, event_nid }) =>
      room_id === null ? [] : [{ room_id, membership, event_nid }],
    ),
  }
}
