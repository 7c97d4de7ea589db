import { sql } from 'kysely'
import type { UserId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'

/** PostgreSQL refuses JSON with an escaped NUL, which events may have anywhere. */
const membership = sql`replace(json, '\\u0000', '\\ufffd')::json #>> '{content,membership}'`

/** Returns how many invites a user has sent since a time. */
export async function countSentInvites(db: Db, userId: UserId, since: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from events
    where sender = ${userId} and type = 'm.room.member' and event_order is not null
      and origin_server_ts >= ${since}::bigint and state_key <> sender
      and ${membership} = 'invite'`.execute(db.sql)
  return rows[0]!.count
}

/** Returns how many rooms a user has joined since a time, including those that the user has left. */
export async function countJoinedRooms(db: Db, userId: UserId, since: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(distinct room_id) as count from events
    where sender = ${userId} and type = 'm.room.member' and event_order is not null
      and origin_server_ts >= ${since}::bigint and state_key = sender
      and ${membership} = 'join'`.execute(db.sql)
  return rows[0]!.count
}
