import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { RoomRetention } from '../../core/rooms/retention.ts'
import type { Db } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'

export type RetentionOfRoom = RoomRetention & { room_id: RoomId }

/** Returns what rooms say about the lifetime of messages; rooms that say nothing are absent. */
export const loadRetentions = sharedLoads<RoomId, RetentionOfRoom>(
  async (db, roomIds) => {
    const { rows } = await sql<RetentionOfRoom>`select room_id, max_lifetime, min_lifetime from rooms
      where room_id = any(${roomIds}::text[]) and (max_lifetime is not null or min_lifetime is not null)`.execute(
      db.sql,
    )
    return new Map(rows.map((row) => [row.room_id, row]))
  },
  { whileReading: false },
)

/** Returns a page of all rooms after one, in the order of their ids, or of those that say how long messages are kept. */
export async function loadExpiringRooms(
  db: Db,
  { after, areAll, limit }: { after: string; areAll: boolean; limit: number },
): Promise<RetentionOfRoom[]> {
  const { rows } = await sql<RetentionOfRoom>`select room_id, max_lifetime, min_lifetime from rooms
    where room_id > ${after} ${areAll ? sql`` : sql`and (max_lifetime is not null or min_lifetime is not null)`}
    order by room_id limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Counts the messages of a room from before a time that a purge would delete, at most `most`. */
export async function countExpired(
  db: Db,
  { roomId, before, most }: { roomId: RoomId; before: number; most: number },
): Promise<number> {
  const { rows } = await sql<{
    count: number
  }>`select count(*)::int as count from (select 1 from room_heads join events using (room_id)
    where room_id = ${roomId} and origin_server_ts < ${before}::bigint and event_order is not null and state_key is null
      and not is_partial and event_id <> all(forward_extremities)
    limit ${most}::int) as expired`.execute(db.sql)
  return rows[0]!.count
}

/**
 * Returns rooms without local members or invited local users, after one in the order of their ids. The last change of a
 * local user's membership was before a time.
 */
export async function loadAbandonedRooms(
  db: Db,
  { after, before, limit }: { after: string; before: number; limit: number },
): Promise<RoomId[]> {
  const { rows } = await sql<{ room_id: RoomId }>`select room_id from rooms
    where joined_local_members = 0 and room_id > ${after}
      and exists (select 1 from room_heads where room_heads.room_id = rooms.room_id)
      and not exists (select 1 from room_lists join events using (event_nid) where room_lists.room_id = rooms.room_id
        and (membership in ('invite', 'knock') or origin_server_ts >= ${before}::bigint))
    order by room_id limit ${limit}::int`.execute(db.sql)
  return rows.map(({ room_id }) => room_id)
}
