import { sql } from 'kysely'
import type { EventId } from '../core/ids.ts'
import type { LockedRoom } from './locked-room.ts'
import type { StoredEvent } from './stored-event.ts'

/** Whether accepted events of the room's timeline name this one, which is not in it yet. */
export async function isMissingPrev(room: LockedRoom, event: StoredEvent): Promise<boolean> {
  if (room.events.some((own) => isInTimeline(own) && own.prev_event_ids.includes(event.event_id))) return true
  const { rows } = await sql`select 1 from missing_prev_events
    where room_id = ${event.room_id} and event_id = ${event.event_id}`.execute(room.db.sql)
  return rows.length > 0
}

/** Notes, when the room is stored, which predecessors of an accepted event are not known. */
export function noteMissingPrevs(room: LockedRoom, event: StoredEvent, missing: readonly EventId[]): void {
  if (missing.length === 0) return
  room.writes.push(async (tx) => {
    await sql`insert into missing_prev_events (room_id, event_id, referrer_order)
      select ${event.room_id}, prev.event_id, ${event.event_order}::bigint from unnest(${missing}::text[]) as prev(event_id)
      on conflict (room_id, event_id) do update
      set referrer_order = greatest(excluded.referrer_order, missing_prev_events.referrer_order)`.execute(tx.sql)
  })
}

/** Notes, when the room is stored, that an event is in the timeline now. */
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
