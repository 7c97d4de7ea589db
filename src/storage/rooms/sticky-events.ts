import { sql } from 'kysely'
import { stickyUntil } from '../../core/events/sticky.ts'
import { domainOf, type RoomId, type ServerName } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import { sharedLoads } from '../engine/shared-loads.ts'
import { appendToStream } from '../engine/stream-append.ts'
import { allOf } from '../engine/transactions.ts'
import { type AppendedEvent, appendedEvents, type LockedRoom, roomIdOf } from './timeline/locked-room.ts'

/** Sticky events of one room, above which the oldest of the users who sent the most are ordinary events. */
export const MOST_STICKY = 2000

/** Whether an event of this transaction is sticky, or would be if the current state allowed it. */
function isKept(event: AppendedEvent): boolean {
  return event.event_order !== null && !event.rejected && !event.is_recomputed && !event.is_never_sticky
}

/**
 * Stores which events of a transaction are sticky, soft-failed ones included. The others have stream rows, by which
 * clients get them. Other events cost nothing. `now`: when they arrive.
 */
export async function storeStickyEvents(
  tx: Tx,
  { ourName, now }: { ourName: ServerName; now: number },
  rooms: readonly LockedRoom[],
): Promise<void> {
  const sticky = rooms.flatMap((room) =>
    // An event that was soft-failed may occur again.
    [...appendedEvents(room).values()].flatMap((event) => {
      const until = isKept(event) ? stickyUntil(event.pdu, now) : undefined
      return until === undefined ? [] : [{ roomId: roomIdOf(room), event, until }]
    }),
  )
  if (sticky.length === 0) return
  for (const { roomId, event, until } of sticky) {
    if (event.soft_failed) continue
    appendToStream(tx, { kind: 'sticky', room_id: roomId, ref: event.event_nid, detail: String(until) })
  }
  const roomIds = sticky.map(({ roomId }) => roomId)
  await allOf([
    sql`delete from sticky_events where event_nid = any(array(select event_nid from sticky_events
      where expires_ts <= ${now}::bigint limit ${MOST_STICKY}::int for update skip locked))`.execute(tx.sql),
    sql`insert into sticky_events (event_nid, room_id, sender, is_ours, soft_failed, expires_ts)
      select * from unnest(${sticky.map(({ event }) => event.event_nid)}::bigint[], ${roomIds}::text[],
        ${sticky.map(({ event }) => event.pdu.sender)}::text[],
        ${sticky.map(({ event }) => domainOf(event.pdu.sender) === ourName)}::boolean[],
        ${sticky.map(({ event }) => event.soft_failed)}::boolean[],
        ${sticky.map(({ until }) => until)}::bigint[])
      on conflict (event_nid) do update set soft_failed = excluded.soft_failed`.execute(tx.sql),
    sql`update room_heads set sticky_until = greatest(sticky_until, until) from (
        select room_id, max(until) as until from unnest(${roomIds}::text[], ${sticky.map(({ until }) => until)}::bigint[])
          as sticky(room_id, until) group by room_id) as ends
      where room_heads.room_id = ends.room_id`.execute(tx.sql),
    dropExcess(tx, roomIds, now),
  ])
}

/**
 * Users who flood a room lose their own old sticky events before other users lose any. Leaves out expired rows: other
 * transactions delete them, without holding the room.
 */
async function dropExcess(tx: Tx, roomIds: readonly RoomId[], now: number): Promise<void> {
  await sql`delete from sticky_events where event_nid = any(array(select event_nid from (
      select event_nid, row_number() over (partition by room_id order by of_sender, event_nid desc) as place from (
        select event_nid, room_id, row_number() over (partition by room_id, sender order by event_nid desc) as of_sender
        from sticky_events where expires_ts > ${now}::bigint and room_id in (
          select room_id from sticky_events where room_id = any(${roomIds}::text[]) and expires_ts > ${now}::bigint
          group by room_id having count(*) > ${MOST_STICKY}::int)
      ) as numbered
    ) as placed where place > ${MOST_STICKY}::int))`.execute(tx.sql)
}

/** A sticky event; `position`: its place in the stream. */
export type StickyPlace = { event_nid: number; room_id: RoomId; position: number }

/** Sticky events of some rooms after a stream position, up to another one. `now`: in milliseconds since 1970. */
export type StickySpan = {
  roomIds: readonly RoomId[]
  after: number
  to: number
  now: number
  limit: number
}

/** Returns the sticky events of some rooms that clients may get, in the order of arrival. */
export async function loadStickyPlaces(db: Db, { roomIds, after, to, now, limit }: StickySpan): Promise<StickyPlace[]> {
  if (roomIds.length === 0) return []
  const { rows } =
    await sql<StickyPlace>`select sticky_events.event_nid, sticky_events.room_id, stream_position as position
    from sticky_events join lateral (select min(stream_position) as stream_position from stream
      where kind = 'sticky' and ref = sticky_events.event_nid) as place on true
    where sticky_events.room_id = any(${roomIds}::text[]) and expires_ts > ${now}::bigint
      and stream_position > ${after}::bigint and stream_position <= ${to}::bigint
    order by stream_position limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Returns the newest soft-failed sticky events of a room. */
export async function findSoftFailedSticky(db: Db, roomId: RoomId, now: number, limit: number): Promise<number[]> {
  const { rows } = await sql<{ event_nid: number }>`select event_nid from sticky_events
    where room_id = ${roomId} and soft_failed and expires_ts > ${now}::bigint
    order by event_nid desc limit ${limit}::int`.execute(db.sql)
  return rows.map((row) => row.event_nid)
}

/** Returns until when events are sticky, in milliseconds since 1970; others are absent. */
export const loadStickyUntil = sharedLoads<number, number>(
  async (db, nids) => {
    const { rows } = await sql<{
      event_nid: number
      expires_ts: number
    }>`select event_nid, expires_ts from sticky_events
      where event_nid = any(${nids}::bigint[])`.execute(db.sql)
    return new Map(rows.map((row) => [row.event_nid, row.expires_ts]))
  },
  { whileReading: false },
)
