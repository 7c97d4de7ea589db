import { sql } from 'kysely'
import type { RoomId, UserId } from '../core/ids.ts'
import type { Db } from './database.ts'

/** What clients name a room by when it has no name, and how many are in it. */
export type RoomSummary = {
  room_id: RoomId
  joined_members: number
  invited_members: number
  /** Up to five other members; null where the room has a name or alias. */
  heroes: UserId[] | null
}

/** Summaries of some rooms, as a user sees them. https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync (RoomSummary) */
export async function loadRoomSummaries(
  db: Db,
  roomIds: readonly RoomId[],
  userId: UserId,
): Promise<Map<RoomId, RoomSummary>> {
  if (roomIds.length === 0) return new Map()
  const { rows } = await sql<RoomSummary>`select room_id, joined_members, invited_members,
      case when name is null and canonical_alias is null then coalesce(present.users, '{}') || coalesce(departed.users, '{}') end as heroes
    from rooms
    left join lateral (select array_agg(user_id order by event_nid) as users from (
        select user_id, event_nid from room_memberships where room_memberships.room_id = rooms.room_id
          and membership in ('join', 'invite') and user_id <> ${userId} order by event_nid limit 5) as first
      ) as present on name is null and canonical_alias is null
    left join lateral (select array_agg(user_id order by event_nid) as users from (
        select user_id, event_nid from room_memberships where room_memberships.room_id = rooms.room_id
          and membership in ('leave', 'ban') and user_id <> ${userId} order by event_nid limit 5) as first
      ) as departed on name is null and canonical_alias is null and present.users is null
    where room_id = any(${roomIds}::text[])`.execute(db.sql)
  return new Map(rows.map((row) => [row.room_id, row]))
}
