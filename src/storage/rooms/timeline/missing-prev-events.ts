import { sql } from 'kysely'
import type { EventId, RoomId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import type { LockedRoom } from './locked-room.ts'

/** Whether accepted events in the timeline have this event, which is not in it, as a prev event. */
export async function isMissingPrev(room: LockedRoom, event: StoredEvent): Promise<boolean> {
  if (room.events.some((own) => isInTimeline(own) && own.prev_event_ids.includes(event.event_id))) return true
  const { rows } = await sql`select 1 from missing_prev_events
    where room_id = ${event.room_id} and event_id = ${event.event_id}`.execute(room.db.sql)
  return rows.length > 0
}

/** Records, when the room is stored, the unknown prev events of an accepted event, which may list one several times. */
export function noteMissingPrevs(room: LockedRoom, event: StoredEvent, missing: readonly EventId[]): void {
  if (missing.length === 0) return
  room.writes.push(async (tx) => {
    await sql`insert into missing_prev_events (room_id, event_id, referrer_order)
      select ${event.room_id}, prev.event_id, ${event.event_order}::bigint
      from unnest(${[...new Set(missing)]}::text[]) as prev(event_id)
      on conflict (room_id, event_id) do update
      set referrer_order = greatest(excluded.referrer_order, missing_prev_events.referrer_order)`.execute(tx.sql)
  })
}

/** Records, when the room is stored, that an event is now in the timeline. */
export function forgetMissingPrev(room: LockedRoom, event: StoredEvent): void {
  room.writes.push(async (tx) => {
    await sql`delete from missing_prev_events where room_id = ${event.room_id} and event_id = ${event.event_id}`.execute(
      tx.sql,
    )
  })
}

function isInTimeline({ event_order, soft_failed }: StoredEvent): boolean {
  return event_order !== null && !soft_failed
}

/** A missing prev event. */
export type MissingPrev = {
  event_id: EventId
  /** event_order of the newest event that references it. */
  referrer_order: number
}

/**
 * Returns the missing prev events of events between two orders of a room's timeline (including the upper one), the
 * newest first.
 */
export async function loadMissingPrevs(
  db: Db,
  { roomId, above, upTo, limit }: { roomId: RoomId; above: number; upTo: number; limit: number },
): Promise<MissingPrev[]> {
  const { rows } =
    await sql<MissingPrev>`select event_id, referrer_order from missing_prev_events where room_id = ${roomId}
    and referrer_order > ${above}::bigint and referrer_order <= ${upTo}::bigint
    order by referrer_order desc, event_id limit ${limit}::int`.execute(db.sql)
  return rows
}

/**
 * Returns the free orders of a room's timeline before an event: `top` is the highest, `bottom` the lowest. Events
 * directly before it count as its own.
 */
export async function findPlacesBefore(
  db: Db,
  roomId: RoomId,
  order: number,
): Promise<{ top: number; bottom: number }> {
  const run = await sql<{ event_order: number }>`select event_order from events where room_id = ${roomId}
    and event_order <= ${order}::bigint and not exists (select 1 from events as before
      where before.room_id = ${roomId} and before.event_order = events.event_order - 1)
    order by event_order desc limit 1`.execute(db.sql)
  const top = (run.rows[0]?.event_order ?? order) - 1
  const next = await sql<{ event_order: number }>`select event_order from events where room_id = ${roomId}
    and event_order <= ${top}::bigint order by event_order desc limit 1`.execute(db.sql)
  return { top, bottom: next.rows[0] ? next.rows[0].event_order + 1 : -Number.MAX_SAFE_INTEGER }
}
