import { sql } from 'kysely'
import type { RoomId, UserId } from '../core/ids.ts'
import type { Db } from './database.ts'
import { loadEvents } from './events.ts'
import type { Membership } from './schema.ts'
import type { StoredEvent } from './stored-event.ts'

/** A room with the newest events of its timeline, oldest first. */
export type NewestOfRoom = {
  roomId: RoomId
  membership: Membership
  memberNid: number
  stateRoot: number
  lastOrder: number
  /** Not all members are known. */
  isPartial: boolean
  newest: StoredEvent[]
}

type Row = {
  position: number
  room_id: RoomId | null
  membership: Membership
  event_nid: number
  state_root: number | null
  next_order: number | null
  is_partial: boolean | null
  newest: number[] | null
}

/** All rooms of a user with up to `limit` events of each, and the stream position at which all this was so: one statement, so one snapshot. */
export async function loadNewestOfRooms(
  db: Db,
  { userId, memberships, limit }: { userId: UserId; memberships: readonly Membership[]; limit: number },
): Promise<{ position: number; rooms: NewestOfRoom[] }> {
  const { rows } =
    await sql<Row>`select position, member.room_id, membership, event_nid, state_root, next_order, is_partial, newest
    from (select coalesce(max(stream_position), 0) as position from stream) as now
    left join room_lists as member on user_id = ${userId} and membership = any(${memberships}::text[]) and not forgotten
    left join room_heads as head on head.room_id = member.room_id
    left join lateral (select array_agg(event_nid order by event_order) as newest from (
        select events.event_nid, event_order from events where events.room_id = member.room_id and event_order < head.next_order
          and event_order > -9007199254740991 and not soft_failed order by event_order desc limit ${limit}::int) as last
      ) as timeline on membership = 'join'`.execute(db.sql)
  const events = await loadEvents(
    db,
    rows.flatMap((row) => row.newest ?? []),
  )
  const rooms = rows.flatMap((row) => {
    if (row.room_id === null) return []
    return {
      roomId: row.room_id,
      membership: row.membership,
      memberNid: row.event_nid,
      stateRoot: row.state_root ?? 0,
      lastOrder: (row.next_order ?? 1) - 1,
      isPartial: row.is_partial ?? false,
      newest: (row.newest ?? []).flatMap((nid) => events.get(nid) ?? []),
    }
  })
  return { position: rows[0]?.position ?? 0, rooms }
}
