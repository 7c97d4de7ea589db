import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'

/** The data from which clients compute the name of an unnamed room, and the member counts. */
export type SyncSummary = {
  room_id: RoomId
  joined_members: number
  invited_members: number
  /** Up to five other members; null if the room has a name or alias. */
  heroes: UserId[] | null
}

/**
 * Returns summaries of some rooms for a user. https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3sync
 * (RoomSummary)
 */
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
  /** The first members, one more than the heroes, because the user may be among them. */
  present: UserId[] | null
  /** The same for former members; null if there are others in the room. */
  departed: UserId[] | null
}

const HEROES = 5

function summaryFor({ is_named, present, departed, ...room }: RoomCandidates, userId: UserId): SyncSummary {
  if (is_named) return { ...room, heroes: null }
  const others = (users: UserId[] | null) => (users ?? []).filter((user) => user !== userId).slice(0, HEROES)
  const there = others(present)
  return { ...room, heroes: there.length > 0 ? there : others(departed) }
}

/** Inside the subquery of members: otherwise PostgreSQL evaluates it for named rooms too and discards the result. */
const UNNAMED = sql`name is null and canonical_alias is null`

/** Shared, because all members of a room request it when a user joins or leaves. */
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
