import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { Membership } from '../../core/rooms/membership.ts'
import type { Db } from '../engine/database.ts'

/** A room with the newest events of its timeline. */
export type NewestOfRoom = {
  roomId: RoomId
  /** The sort key of rooms when they exceed one response. */
  place: string
  membership: Membership
  memberNid: number
  stateRoot: number
  lastOrder: number
  /** Not all members are known. */
  isPartial: boolean
  joinedMembers: number
  /** Until when the room has sticky events, at most, in milliseconds since 1970. */
  stickyUntil: number
  /** Nids, oldest first, and the bytes of these events. */
  newest: number[]
  bytes: number
}

type Row = {
  position: number
  room_id: RoomId | null
  membership: Membership
  event_nid: number
  state_root: number | null
  next_order: number | null
  is_partial: boolean | null
  joined_members: number | null
  sticky_until: number | null
  newest: number[] | null
  bytes: number | null
  place: string
}

/** Selects a user's rooms: at most `most` after a place, with the size of each timeline. */
export type WantedRooms = {
  userId: UserId
  memberships: readonly Membership[]
  limit: number
  bytes: number
  after?: string | undefined
  most?: number | undefined
}

/**
 * Returns rooms of a user with some events of each, in the order of their places, and the stream position: one
 * statement, so one snapshot.
 */
export async function loadNewestOfRooms(
  db: Db,
  { userId, memberships, limit, bytes, after, most }: WantedRooms,
): Promise<{ position: number; rooms: NewestOfRoom[] }> {
  const { rows } =
    await sql<Row>`select position, member.room_id, membership, event_nid, state_root, next_order, is_partial, joined_members, sticky_until, newest,
      bytes, member.place
    from (select coalesce(max(stream_position), 0) as position from stream) as now
    left join (select *, md5(room_id) as place from room_lists
      where user_id = ${userId} and membership = any(${memberships}::text[]) and not forgotten and md5(room_id) > ${after ?? ''}
      order by place limit ${most ?? null}::int) as member on true
    left join room_heads as head on head.room_id = member.room_id
    left join rooms on rooms.room_id = member.room_id
    left join lateral (select array_agg(event_nid order by event_order) as newest, sum(size)::int as bytes from (
        select event_nid, event_order, size, sum(size) over (order by event_order desc) - size as bytes_before from (
          select events.event_nid, event_order, octet_length(json) as size from events
          where events.room_id = member.room_id and event_order < head.next_order
            and event_order > -9007199254740991 and not soft_failed order by event_order desc limit ${limit}::int
        ) as last
      ) as sized where bytes_before < ${bytes}::bigint) as timeline on membership = 'join'
    order by member.place`.execute(db.sql)
  const rooms = rows.flatMap((row) => {
    if (row.room_id === null) return []
    return {
      roomId: row.room_id,
      place: row.place,
      membership: row.membership,
      memberNid: row.event_nid,
      stateRoot: row.state_root ?? 0,
      lastOrder: (row.next_order ?? 1) - 1,
      isPartial: row.is_partial ?? false,
      joinedMembers: row.joined_members ?? 0,
      stickyUntil: row.sticky_until ?? 0,
      newest: row.newest ?? [],
      bytes: row.bytes ?? 0,
    }
  })
  return { position: rows[0]?.position ?? 0, rooms }
}
