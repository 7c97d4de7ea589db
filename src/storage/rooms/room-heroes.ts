import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'

/** What clients name a room by when it has no name, and how many are in it. */
export type SyncSummary = {
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
): Promise<Map<RoomId, SyncSummary>> {
  const rooms = await loadCandidates(db, roomIds)
  return new Map([...rooms].map(([roomId, room]) => [roomId, summaryFor(room, userId)]))
}

type RoomCandidates = Omit<SyncSummary, 'heroes'> & {
  is_named: boolean
  /** The first in the room, one more than the heroes, as the user may be among them. */
  present: UserId[] | null
  /** Likewise those who have left; null where others are there. */
  departed: UserId[] | null
}

const HEROES = 5

function summaryFor({ is_named, present, departed, ...room }: RoomCandidates, userId: UserId): SyncSummary {
  if (is_named) return { ...room, heroes: null }
  const others = (users: UserId[] | null) => (users ?? []).filter((user) => user !== userId).slice(0, HEROES)
  const there = others(present)
  return { ...room, heroes: there.length > 0 ? there : others(departed) }
}

/** Inside of what looks for members: of rooms that have a name the database would look for them all the same, and then not take them. */
const UNNAMED = sql`name is null and canonical_alias is null`

/** Shared, for everyone in a room asks when somebody comes or goes. */
const loadCandidates = sharedLoads<RoomId, RoomCandidates>(
  async (db, roomIds) => {
    const { rows } = await sql<RoomCandidates>`select rooms.room_id, joined_members, invited_members,
        not (${UNNAMED}) as is_named, present.users as present, departed.users as departed
      from rooms
      left join lateral (select array_agg(user_id order by event_nid) as users from (
          select user_id, event_nid from room_memberships where ${UNNAMED} and room_memberships.room_id = rooms.room_id
            and membership in ('join', 'invite') order by event_nid limit ${HEROES + 1}::int) as first
        ) as present on true
      left join lateral (select array_agg(user_id order by event_nid) as users from (
          select user_id, event_nid from room_memberships where ${UNNAMED} and coalesce(cardinality(present.users), 0) <= 1
            and room_memberships.room_id = rooms.room_id
            and membership in ('leave', 'ban') order by event_nid limit ${HEROES + 1}::int) as first
        ) as departed on true
      where rooms.room_id = any(${roomIds}::text[])`.execute(db.sql)
    return new Map(rows.map((row) => [row.room_id, row]))
  },
  { whileReading: false },
)
