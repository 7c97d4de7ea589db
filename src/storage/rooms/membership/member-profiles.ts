import { sql } from 'kysely'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'

/** A user's profile in a room. */
export type MemberProfile = { user_id: UserId; displayname: string | null; avatar_url: string | null }

/** Returns the profiles of members of some rooms, by room, in the order of the request. */
export async function loadMemberProfiles(
  db: Db,
  members: readonly { roomId: RoomId; userId: UserId }[],
): Promise<Map<RoomId, MemberProfile[]>> {
  if (members.length === 0) return new Map()
  const { rows } = await sql<MemberProfile & { room_id: RoomId }>`select room_id, user_id, displayname, avatar_url
    from unnest(${members.map(({ roomId }) => roomId)}::text[], ${members.map(({ userId }) => userId)}::text[])
      with ordinality as wanted(room_id, user_id, place) join room_memberships using (room_id, user_id) order by place`.execute(
    db.sql,
  )
  return Map.groupBy(rows, (row) => row.room_id)
}

/** Returns the local users with a profile who have joined one of these rooms. */
export async function loadMembersWithProfiles(db: Db, roomIds: readonly RoomId[]): Promise<UserId[]> {
  if (roomIds.length === 0) return []
  const { rows } = await sql<{ user_id: UserId }>`select distinct profiles.user_id from room_memberships
    join profiles using (user_id) where room_id = any(${roomIds}::text[]) and membership = 'join'`.execute(db.sql)
  return rows.map(({ user_id }) => user_id)
}
