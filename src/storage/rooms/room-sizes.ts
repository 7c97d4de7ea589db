import { sql } from 'kysely'
import type { RoomId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'

export type RoomSize = { room_id: RoomId; estimated_size: number }

/**
 * Returns the rooms whose events and states take most of the database, in bytes: estimates from the statistics that
 * PostgreSQL keeps for its planner. Without statistics there are none.
 */
export async function estimateRoomSizes(db: Db, limit: number): Promise<RoomSize[]> {
  const { rows } = await sql<RoomSize>`select room_id, round(sum(part * size))::bigint as estimated_size
    from (select unnest(most_common_vals::text::text[]) as room_id, unnest(most_common_freqs) as part,
        pg_total_relation_size(format('%I.%I', schemaname, tablename)::regclass) as size
      from pg_stats where schemaname = current_schema() and tablename in ('events', 'state_packs')
        and attname = 'room_id') as parts
    group by room_id order by estimated_size desc, room_id limit ${limit}::int`.execute(db.sql)
  return rows
}
