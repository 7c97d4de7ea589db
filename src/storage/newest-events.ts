import { sql } from 'kysely'
import type { RoomId } from '../core/ids.ts'
import type { Db } from './database.ts'
import { loadEvents } from './events.ts'
import type { StoredEvent } from './stored-event.ts'

/** A stretch of a room's timeline, and how many of its newest events are wanted. `after` is exclusive, `last` inclusive. */
export type NewestSpan = { roomId: RoomId; after: number; last: number; limit: number }

/** The newest events of stretches of several rooms' timelines, oldest first. */
export async function loadNewestEvents(db: Db, spans: readonly NewestSpan[]): Promise<Map<RoomId, StoredEvent[]>> {
  if (spans.length === 0) return new Map()
  const { rows } = await sql<{ room_id: RoomId; newest: number[] | null }>`select span.room_id, newest
    from unnest(${spans.map(({ roomId }) => roomId)}::text[], ${spans.map(({ after }) => after)}::bigint[],
      ${spans.map(({ last }) => last)}::bigint[], ${spans.map(({ limit }) => limit)}::int[]) as span(room_id, after, last, wanted)
    cross join lateral (select array_agg(event_nid order by event_order) as newest from (
      select event_nid, event_order from events where events.room_id = span.room_id and event_order > span.after
        and event_order <= span.last and not soft_failed order by event_order desc limit span.wanted) as last) as timeline`.execute(
    db.sql,
  )
  const events = await loadEvents(
    db,
    rows.flatMap((row) => row.newest ?? []),
  )
  return new Map(rows.map((row) => [row.room_id, (row.newest ?? []).flatMap((nid) => events.get(nid) ?? [])]))
}
