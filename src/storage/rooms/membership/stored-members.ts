import { sql } from 'kysely'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import type { RoomMembershipRow } from '../../schema/rooms.ts'

/** A member of a room as stored; `is_outlier`: the event is not in the room's timeline. */
export type StoredMember = Pick<
  RoomMembershipRow,
  'user_id' | 'membership' | 'event_nid' | 'displayname' | 'avatar_url'
> & { is_outlier: boolean }

/** Returns all stored members of a room, by user. */
export async function loadStoredMembers(db: Db, roomId: RoomId): Promise<Map<string, StoredMember>> {
  const { rows } = await sql<StoredMember>`select user_id, membership, event_nid, displayname, avatar_url,
      exists (select 1 from events where events.event_nid = room_memberships.event_nid and event_order is null) as is_outlier
    from room_memberships where room_id = ${roomId}`.execute(db.sql)
  return new Map(rows.map((row) => [row.user_id as UserId, row]))
}
