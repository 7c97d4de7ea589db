import { sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import { sharedLoads } from '../../engine/shared-loads.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { loadEvents } from './events.ts'

/**
 * A range of a room's timeline, and how many of its newest events, or bytes of them, to return. `after` is exclusive,
 * `last` inclusive.
 */
export type NewestSpan = { roomId: RoomId; after: number; last: number; limit: number; bytes: number }

type Key = [roomId: string, after: number, last: number, limit: number, bytes: number]

/** Returns the newest events of ranges of several rooms, oldest first. */
export async function loadNewestEvents(db: Db, spans: readonly NewestSpan[]): Promise<Map<RoomId, StoredEvent[]>> {
  if (spans.length === 0) return new Map()
  const keys = spans.map(({ roomId, after, last, limit, bytes }) => JSON.stringify([roomId, after, last, limit, bytes]))
  const nids = await loadNewestNids(db, keys)
  const events = await loadEvents(db, [...nids.values()].flat())
  return new Map(
    spans.map(({ roomId }, place) => [roomId, (nids.get(keys[place]!) ?? []).flatMap((nid) => events.get(nid) ?? [])]),
  )
}

/** Shared, because all members of a room request the same when it has a new event. */
const loadNewestNids = sharedLoads<string, number[]>(
  async (db, keys) => {
    const spans = keys.map((key) => JSON.parse(key) as Key)
    const { rows } = await sql<{ place: number; newest: number[] | null }>`select place, newest
      from unnest(${spans.map(([roomId]) => roomId)}::text[], ${spans.map(([, after]) => after)}::bigint[],
        ${spans.map(([, , last]) => last)}::bigint[], ${spans.map(([, , , limit]) => limit)}::int[], ${spans.map(([, , , , bytes]) => bytes)}::bigint[])
        with ordinality as span(room_id, after, last, wanted, bytes, place)
      cross join lateral (select array_agg(event_nid order by event_order) as newest from (
        select event_nid, event_order, sum(size) over (order by event_order desc) - size as bytes_before from (
          select event_nid, event_order, octet_length(json) as size from events where events.room_id = span.room_id and event_order > span.after
            and event_order <= span.last and not soft_failed order by event_order desc limit span.wanted) as last
        ) as sized where bytes_before < span.bytes) as timeline`.execute(db.sql)
    return new Map(rows.map(({ place, newest }) => [keys[place - 1]!, newest ?? []]))
  },
  { whileReading: false },
)
