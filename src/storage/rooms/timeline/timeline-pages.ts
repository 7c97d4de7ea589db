import { sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { MAX_EVENT_BYTES } from './event-sizes.ts'
import { loadEvents } from './events.ts'

/**
 * Selects events in a range of a room's timeline; bounds on event_order are exclusive, absent lists match everything.
 */
export type TimelinePage = {
  roomId: RoomId
  after: number
  before: number
  direction: 'forwards' | 'backwards'
  limit: number
  /** Stops at this number of bytes, before the limit is reached; absent: unlimited. */
  bytes?: number | undefined
  /** Patterns for `like`. */
  types?: readonly string[] | undefined
  notTypes?: readonly string[] | undefined
  senders?: readonly string[] | undefined
  notSenders?: readonly string[] | undefined
  /** Users whose message events are omitted. */
  ignored?: readonly string[] | undefined
  relTypes?: readonly string[] | undefined
  notRelTypes?: readonly string[] | undefined
  relatedByRelTypes?: readonly string[] | undefined
  relatedBySenders?: readonly string[] | undefined
  /** The content has the key `url`; a rough test, which the caller repeats. */
  mentionsUrl?: boolean | undefined
}

/** Returns the events of a page, without soft-failed ones, in the page's direction. */
export async function loadTimelinePage(db: Db, page: TimelinePage): Promise<StoredEvent[]> {
  const found = sql`from events where room_id = ${page.roomId}
    and event_order > ${page.after}::bigint and event_order < ${page.before}::bigint and not soft_failed
    ${ownConditions(page)} ${relationConditions(page)}
    order by event_order ${page.direction === 'forwards' ? sql`asc` : sql`desc`} limit ${page.limit}::int`
  const { rows } = await sql<{ event_nid: number }>`${withinBytes(found, page)}`.execute(db.sql)
  const events = await loadEvents(
    db,
    rows.map((row) => row.event_nid),
  )
  return rows.flatMap((row) => events.get(row.event_nid) ?? [])
}

/** The nids of a page's events that fit into its bytes. A page of few events skips the check. */
function withinBytes(found: ReturnType<typeof sql>, { limit, bytes, direction }: TimelinePage) {
  if (bytes === undefined || limit * MAX_EVENT_BYTES <= bytes) return sql`select event_nid ${found}`
  const order = direction === 'forwards' ? sql`event_order` : sql`event_order desc`
  return sql`select event_nid from (
      select event_nid, event_order, sum(size) over (order by ${order}) - size as bytes_before
      from (select event_nid, event_order, octet_length(json) as size ${found}) as found
    ) as sized where bytes_before < ${bytes}::bigint order by ${order}`
}

/** Only the conditions that a page has: plans with `$1 is null or …` are slow. */
function ownConditions({ types, notTypes, senders, notSenders, ignored, mentionsUrl }: TimelinePage) {
  return sql`${types ? sql`and type like any(${types}::text[])` : sql``}
    ${notTypes ? sql`and not type like any(${notTypes}::text[])` : sql``}
    ${senders ? sql`and sender = any(${senders}::text[])` : sql``}
    ${notSenders ? sql`and not sender = any(${notSenders}::text[])` : sql``}
    ${ignored ? sql`and (state_key is not null or not sender = any(${ignored}::text[]))` : sql``}
    ${mentionsUrl ? sql`and json like '%"url"%'` : sql``}`
}

/**
 * Whether an event's relation counts: like `countingRelations` of the services, ignores a relation to an event of
 * another room.
 */
const RELATION_COUNTS = sql`not exists (select 1 from events as parent where parent.event_id = events.relates_to
  and (parent.room_id <> events.room_id or parent.rejected is not null))`

function relationConditions({ relTypes, notRelTypes, relatedByRelTypes, relatedBySenders }: TimelinePage) {
  const isRelated = relatedByRelTypes || relatedBySenders
  return sql`${relTypes ? sql`and rel_type = any(${relTypes}::text[]) and ${RELATION_COUNTS}` : sql``}
    ${notRelTypes ? sql`and (rel_type is null or not rel_type = any(${notRelTypes}::text[]) or not ${RELATION_COUNTS})` : sql``}
    ${
      isRelated
        ? sql`and exists (select 1 from events as child where child.relates_to = events.event_id and child.room_id = events.room_id
            and child.event_order is not null and not child.soft_failed
            ${relatedByRelTypes ? sql`and child.rel_type = any(${relatedByRelTypes}::text[])` : sql``}
            ${relatedBySenders ? sql`and child.sender = any(${relatedBySenders}::text[])` : sql``})`
        : sql``
    }`
}

/** Returns the order of the event after the first `passed` ones of a range; undefined if there is none. */
export async function findOrderBeyond(
  db: Db,
  page: Pick<TimelinePage, 'roomId' | 'after' | 'before' | 'direction'> & { passed: number },
): Promise<number | undefined> {
  const { rows } = await sql<{ event_order: number }>`select event_order from events where room_id = ${page.roomId}
    and event_order > ${page.after}::bigint and event_order < ${page.before}::bigint
    order by event_order ${page.direction === 'forwards' ? sql`asc` : sql`desc`} limit 1 offset ${page.passed}::int`.execute(
    db.sql,
  )
  return rows[0]?.event_order
}

/** Returns the event at this order of a room, or the nearest before it. */
export async function findEventAtOrder(db: Db, roomId: RoomId, order: number): Promise<StoredEvent | undefined> {
  const page = { roomId, after: -Number.MAX_SAFE_INTEGER, before: order + 1, limit: 1, direction: 'backwards' as const }
  return (await loadTimelinePage(db, page))[0]
}

/** Returns the newest of some orders in a room's timeline that have an event; undefined if none has. */
export async function findNewestPlace(db: Db, roomId: RoomId, places: readonly number[]): Promise<number | undefined> {
  if (places.length === 0) return undefined
  const { rows } = await sql<{ newest: number | null }>`select max(event_order) as newest from events
    where room_id = ${roomId} and event_order = any(${places}::bigint[]) and not soft_failed`.execute(db.sql)
  return rows[0]?.newest ?? undefined
}

/** Returns the order of a room's newest event when the stream was at `position`; 0 if there was none. */
export async function findOrderAtPosition(db: Db, roomId: RoomId, position: number): Promise<number> {
  const { rows } = await sql<{ event_order: number }>`select event_order from stream join events on event_nid = ref
    where stream.room_id = ${roomId} and kind = 'event' and stream_position <= ${position}::bigint and event_order is not null
    order by stream_position desc limit 1`.execute(db.sql)
  return rows[0]?.event_order ?? 0
}

/**
 * Returns the events of a room nearest in time to `ts` (milliseconds since 1970), in one direction, without the first
 * `skip`.
 */
export async function loadEventsNearTime(
  db: Db,
  search: {
    roomId: RoomId
    ts: number
    direction: 'forwards' | 'backwards'
    lastOrder: number
    skip: number
    limit: number
  },
): Promise<StoredEvent[]> {
  const { roomId, ts, lastOrder, skip, limit } = search
  const query =
    search.direction === 'forwards'
      ? sql<{
          event_nid: number
        }>`select event_nid from events where room_id = ${roomId} and origin_server_ts >= ${ts}::bigint
          and event_order <= ${lastOrder}::bigint and not soft_failed
          order by origin_server_ts, event_order offset ${skip}::int limit ${limit}::int`
      : sql<{
          event_nid: number
        }>`select event_nid from events where room_id = ${roomId} and origin_server_ts <= ${ts}::bigint
          and event_order <= ${lastOrder}::bigint and not soft_failed
          order by origin_server_ts desc, event_order desc offset ${skip}::int limit ${limit}::int`
  const { rows } = await query.execute(db.sql)
  const events = await loadEvents(
    db,
    rows.map((row) => row.event_nid),
  )
  return rows.flatMap((row) => events.get(row.event_nid) ?? [])
}
