import { sql } from 'kysely'
import type { EventId, RoomId, UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'
import type { StoredEvent } from '../schema/stored-event.ts'
import { loadEvents } from './timeline/events.ts'

/** Selects events that relate to `eventId`; bounds on event_order are exclusive. */
export type RelatedPage = {
  roomId: RoomId
  eventId: EventId
  relType?: string | undefined
  eventType?: string | undefined
  /** The maximum depth of relations; 1: only direct ones. */
  depth: number
  after: number
  before: number
  direction: 'forwards' | 'backwards'
  limit: number
  /** Users whose events are omitted. */
  ignored: ReadonlySet<string>
}

/**
 * Returns the events of a page, in its direction. Types filter the result; events of ignored users are not followed
 * either.
 */
export async function loadRelatedEvents(db: Db, page: RelatedPage): Promise<StoredEvent[]> {
  const ofTypes = (
    table: string,
  ) => sql`${page.relType === undefined ? sql`` : sql`and ${sql.ref(table)}.rel_type = ${page.relType}`}
    ${page.eventType === undefined ? sql`` : sql`and ${sql.ref(table)}.type = ${page.eventType}`}`
  // With depth 1, the index on relations finds events by type.
  const wanted = sql`child.room_id = ${page.roomId} and child.event_order is not null and not child.soft_failed
    ${page.depth === 1 ? ofTypes('child') : sql``}
    ${page.ignored.size === 0 ? sql`` : sql`and not child.sender = any(${[...page.ignored]}::text[])`}`
  const { rows } = await sql<{
    event_nid: number
  }>`with recursive related(event_nid, event_id, event_order, rel_type, type, depth) as (
      select event_nid, event_id, event_order, rel_type, type, 1 from events as child where child.relates_to = ${page.eventId} and ${wanted}
      union
      select child.event_nid, child.event_id, child.event_order, child.rel_type, child.type, related.depth + 1
      from related join events as child on child.relates_to = related.event_id
      where related.depth < ${page.depth}::int and ${wanted}
    )
    select event_nid from related where event_order > ${page.after}::bigint and event_order < ${page.before}::bigint ${ofTypes('related')}
    order by event_order ${page.direction === 'forwards' ? sql`asc` : sql`desc`} limit ${page.limit}::int`.execute(
    db.sql,
  )
  return inOrder(db, rows)
}

/** A thread's root, and the order of its newest event. */
export type ThreadPlace = { root: StoredEvent; latestOrder: number }

/**
 * Returns the threads of a room as of event_order `lastOrder`, sorted by their newest event, newest first, starting
 * below `before`.
 */
export async function loadThreads(
  db: Db,
  page: {
    roomId: RoomId
    lastOrder: number
    before: number
    limit: number
    participant: UserId | undefined
    ignored: ReadonlySet<string>
  },
): Promise<ThreadPlace[]> {
  const { roomId, participant } = page
  // `offset 0` keeps PostgreSQL from reading all events into a hash.
  const { rows } = await sql<{ event_nid: number; latest: number }>`select root.event_nid, threads.latest from (
      select relates_to, max(event_order) as latest ${participant === undefined ? sql`` : sql`, bool_or(sender = ${participant}) as replied`}
      from events where room_id = ${roomId} and rel_type = 'm.thread' and event_order <= ${page.lastOrder}::bigint and not soft_failed
        and not sender = any(${[...page.ignored]}::text[])
      group by relates_to
    ) as threads join events as root on root.event_id = threads.relates_to
    where root.room_id = ${roomId} and (root.rel_type is null
        or exists (select 1 from events as elsewhere
          where elsewhere.event_id = root.relates_to and elsewhere.room_id <> ${roomId} offset 0))
      and root.event_order is not null and root.state_key is null
      and threads.latest < ${page.before}::bigint
      ${participant === undefined ? sql`` : sql`and (threads.replied or root.sender = ${participant})`}
    order by threads.latest desc limit ${page.limit}::int`.execute(db.sql)
  const roots = new Map((await inOrder(db, rows)).map((root) => [root.event_nid, root]))
  return rows.flatMap(({ event_nid, latest }) => {
    const root = roots.get(event_nid)
    return root ? { root, latestOrder: latest } : []
  })
}

async function inOrder(db: Db, rows: readonly { event_nid: number }[]): Promise<StoredEvent[]> {
  const events = await loadEvents(
    db,
    rows.map((row) => row.event_nid),
  )
  return rows.flatMap((row) => events.get(row.event_nid) ?? [])
}
