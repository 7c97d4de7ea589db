import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'

/**
 * Returns up to `limit` unencrypted events of a room that name files, newest first, before a place in its timeline.
 */
export async function loadEventsWithFiles(
  db: Db,
  roomId: RoomId,
  { before, limit }: { before: number; limit: number },
): Promise<{ event_order: number; json: string }[]> {
  const { rows } = await sql<{ event_order: number; json: string }>`select event_order, json from events
    where room_id = ${roomId} and event_order < ${before}::bigint and type <> 'm.room.encrypted'
      and json like '%mxc://%'
    order by event_order desc limit ${limit}::int`.execute(db.sql)
  return rows
}
