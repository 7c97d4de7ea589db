import { sql } from 'kysely'
import type { EventId, RoomId, UserId } from '../../core/ids.ts'
import type { Db } from '../engine/database.ts'

/** The relation types that are aggregated in `unsigned` of their parents. */
export type BundledRelType = 'm.replace' | 'm.thread' | 'm.reference'

/** An event with its relations. */
export type RelationParent = {
  event_id: EventId
  room_id: RoomId
  sender: UserId
  type: string
  /** Children later in the room are not counted; undefined: all are. */
  lastOrder: number | undefined
}

export type ThreadSummary = { parent: EventId; count: number; participated: boolean; latest_nid: number }

/** The number of newest edits that are checked for a valid one: invalid ones harm only their sender. */
const EDIT_CANDIDATES = 10
/** The maximum references returned for one event, and for all events of a response. */
const MAX_REFERENCES = 100
const MAX_REFERENCES_IN_ALL = 2000
const END = Number.MAX_SAFE_INTEGER

/** Returns which of these events have children of which types. */
export async function findRelations(
  db: Db,
  eventIds: readonly EventId[],
  relTypes: readonly BundledRelType[],
): Promise<{ parent: EventId; rel_type: BundledRelType }[]> {
  const { rows } = await sql<{
    parent: EventId
    rel_type: BundledRelType
  }>`select distinct relates_to as parent, rel_type from events
    where relates_to = any(${eventIds}::text[]) and rel_type = any(${relTypes}::text[]) and event_order is not null
      and not soft_failed`.execute(db.sql)
  return rows
}

/** Returns the edits of each parent by its own sender, newest first. */
export async function findEdits(
  db: Db,
  parents: readonly RelationParent[],
): Promise<{ parent: EventId; event_nid: number }[]> {
  const { rows } = await sql<{ parent: EventId; event_nid: number }>`select parents.event_id as parent, edits.event_nid
    from ${parentRows(parents)} cross join lateral (
      select event_nid, origin_server_ts, event_id from events where relates_to = parents.event_id and rel_type = 'm.replace'
        and room_id = parents.room_id and sender = parents.sender and type = parents.type and state_key is null
        and event_order <= parents.last_order and not soft_failed
      order by origin_server_ts desc, event_id collate "C" desc limit ${EDIT_CANDIDATES}::int
    ) as edits order by edits.origin_server_ts desc, edits.event_id collate "C" desc`.execute(db.sql)
  return rows
}

/**
 * Returns a summary of each thread for a user, without events of users in `ignored`; threads without remaining events
 * are absent.
 */
export async function summariseThreads(
  db: Db,
  parents: readonly RelationParent[],
  reader: { userId: UserId; ignored: ReadonlySet<string> },
): Promise<ThreadSummary[]> {
  const { rows } = await sql<ThreadSummary>`select parents.event_id as parent, count(*)::int as count,
      parents.sender = ${reader.userId} or bool_or(events.sender = ${reader.userId}) as participated,
      (array_agg(event_nid order by event_order desc))[1] as latest_nid
    from ${parentRows(parents)} join events on relates_to = parents.event_id and rel_type = 'm.thread' and events.room_id = parents.room_id
      and event_order <= parents.last_order and not soft_failed and not events.sender = any(${[...reader.ignored]}::text[])
    group by parents.event_id, parents.sender`.execute(db.sql)
  return rows
}

/** Returns the events that reference each parent, oldest first. */
export async function findReferences(
  db: Db,
  parents: readonly RelationParent[],
  ignored: ReadonlySet<string>,
): Promise<{ parent: EventId; event_nid: number }[]> {
  const { rows } = await sql<{
    parent: EventId
    event_nid: number
  }>`select parents.event_id as parent, children.event_nid
    from ${parentRows(parents)} cross join lateral (
      select event_nid, event_order from events where relates_to = parents.event_id and rel_type = 'm.reference'
        and room_id = parents.room_id and event_order <= parents.last_order and not soft_failed
        and not sender = any(${[...ignored]}::text[])
      order by event_order limit ${MAX_REFERENCES}::int
    ) as children order by children.event_order limit ${MAX_REFERENCES_IN_ALL}::int`.execute(db.sql)
  return rows
}

function parentRows(parents: readonly RelationParent[]) {
  return sql`unnest(${parents.map((parent) => parent.event_id)}::text[], ${parents.map((parent) => parent.room_id)}::text[],
    ${parents.map((parent) => parent.sender)}::text[], ${parents.map((parent) => parent.type)}::text[],
    ${parents.map((parent) => parent.lastOrder ?? END)}::bigint[]) as parents(event_id, room_id, sender, type, last_order)`
}
