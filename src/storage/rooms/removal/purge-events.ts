import { sql } from 'kysely'
import type { EventId, RoomId, ServerName } from '../../../core/ids.ts'
import type { Tx } from '../../engine/database.ts'
import { appendToStream } from '../../engine/stream-append.ts'

/** Events purged in one transaction, while the room is locked. */
const BATCH = 500

/** Selects the events to purge: all in the timeline before a place, or from before a time. State events stay. */
export type Purge = {
  roomId: RoomId
  /** `event_order` of the first event that stays, or a time in milliseconds since 1970. */
  before: { order: number } | { ts: number }
  /** The server whose users' events stay; null: none. */
  except: ServerName | null
  /** Whether to note what is missing, so that readers get it again from other servers. */
  isFetchedAgain: boolean
}

/** The last event of a batch. */
export type PurgePlace = { ts: number; order: number }
type Found = { event_nid: number; event_id: EventId; event_order: number; origin_server_ts: number }

/**
 * Deletes the next events of a purge after a place (absent: from the beginning), with what belongs to them. Forward
 * extremities stay: the next event refers to them. Returns how many, and where to go on; undefined: none are left, or
 * the room is gone or partial.
 */
export async function purgeEvents(
  tx: Tx,
  purge: Purge,
  after: PurgePlace | undefined,
): Promise<{ deleted: number; place: PurgePlace } | undefined> {
  const { roomId } = purge
  const heads = await sql<{ forward_extremities: EventId[]; has_other_servers: boolean; is_partial: boolean }>`
    select forward_extremities, has_other_servers, is_partial from room_heads where room_id = ${roomId} for update`.execute(
    tx.sql,
  )
  const head = heads.rows[0]
  // The states of a partial room's events are still to be computed again.
  if (!head || head.is_partial) return undefined
  const events = await findPurged(tx, purge, after)
  const last = events.at(-1)
  if (!last) return undefined
  const purged = events.filter(({ event_id }) => !head.forward_extremities.includes(event_id))
  if (purged.length > 0) {
    await deleteEvents(tx, roomId, purged)
    if (purge.isFetchedAgain && head.has_other_servers) await noteMissing(tx, roomId, purged)
    appendToStream(tx, { kind: 'history_purged', detail: roomId })
  }
  return { deleted: purged.length, place: { ts: last.origin_server_ts, order: last.event_order } }
}

async function findPurged(tx: Tx, { roomId, before, except }: Purge, after: PurgePlace | undefined): Promise<Found[]> {
  const own = except === null ? sql`` : sql`and substr(sender, strpos(sender, ':') + 1) <> ${except}`
  const lowest = -Number.MAX_SAFE_INTEGER
  if ('order' in before) {
    const { rows } = await sql<Found>`select event_nid, event_id, event_order, origin_server_ts from events
      where room_id = ${roomId} and event_order > ${after?.order ?? lowest}::bigint
        and event_order < ${before.order}::bigint and state_key is null ${own}
      order by event_order limit ${BATCH}::int`.execute(tx.sql)
    return rows
  }
  const { rows } = await sql<Found>`select event_nid, event_id, event_order, origin_server_ts from events
    where room_id = ${roomId} and event_order is not null and origin_server_ts < ${before.ts}::bigint
      and (origin_server_ts, event_order) > (${after?.ts ?? lowest}::bigint, ${after?.order ?? lowest}::bigint)
      and state_key is null ${own}
    order by origin_server_ts, event_order limit ${BATCH}::int`.execute(tx.sql)
  return rows
}

async function deleteEvents(tx: Tx, roomId: RoomId, events: readonly Found[]): Promise<void> {
  const nids = events.map(({ event_nid }) => event_nid)
  const orders = events.map(({ event_order }) => event_order)
  await sql`delete from search_events where event_nid = any(${nids}::bigint[])`.execute(tx.sql)
  await sql`delete from sticky_events where event_nid = any(${nids}::bigint[])`.execute(tx.sql)
  await sql`delete from notifications using room_lists where notifications.user_id = room_lists.user_id
    and notifications.room_id = room_lists.room_id and room_lists.room_id = ${roomId}
    and event_order = any(${orders}::bigint[])`.execute(tx.sql)
  await sql`delete from missing_prev_events where room_id = ${roomId}
    and referrer_order = any(${orders}::bigint[])`.execute(tx.sql)
  await sql`delete from early_redactions where room_id = ${roomId}
    and event_id = any(${events.map(({ event_id }) => event_id)}::text[])`.execute(tx.sql)
  await sql`delete from events where event_nid = any(${nids}::bigint[])`.execute(tx.sql)
}

/** Events that refer to an event mostly follow it at once. */
const FOLLOWERS = 3

async function noteMissing(tx: Tx, roomId: RoomId, purged: readonly Found[]): Promise<void> {
  const places = new Set(
    purged.flatMap(({ event_order }) => Array.from({ length: FOLLOWERS }, (_, step) => event_order + 1 + step)),
  )
  const { rows } = await sql<{ event_order: number; prev_events: string }>`select event_order,
      replace(json, '\\u0000', '\\ufffd')::json ->> 'prev_events' as prev_events from events
    where room_id = ${roomId} and event_order = any(${[...places]}::bigint[])`.execute(tx.sql)
  const gone = new Set<string>(purged.map(({ event_id }) => event_id))
  const missing = rows.flatMap(({ event_order, prev_events }) =>
    referencedIds(prev_events).flatMap((id) => (gone.has(id) ? { id, event_order } : [])),
  )
  await sql`insert into missing_prev_events (room_id, event_id, referrer_order)
    select ${roomId}, event_id, max(referrer_order) from unnest(${missing.map(({ id }) => id)}::text[],
      ${missing.map(({ event_order }) => event_order)}::bigint[]) as missing(event_id, referrer_order)
    group by event_id on conflict (room_id, event_id) do nothing`.execute(tx.sql)
}

/** In room versions 1 and 2, a reference is an array of the id and hashes. */
function referencedIds(references: string): string[] {
  return (JSON.parse(references) as (string | [string])[]).map((reference) => [reference].flat()[0]!)
}

/** Deletes rows of the stream that refer to purged events of a room, after a position; returns where to go on. */
export async function purgeStream(tx: Tx, roomId: RoomId, after: number): Promise<number | undefined> {
  const { rows } = await sql<{ last: number | null }>`with page as (
      select stream_position, kind, ref from stream where room_id = ${roomId} and stream_position > ${after}::bigint
      order by stream_position limit ${BATCH}::int
    ), purged as (
      delete from stream where stream_position in (select stream_position from page
        where kind in ('event', 'history') and ref is not null and not exists (select 1 from events where event_nid = ref))
    )
    select max(stream_position) as last from page`.execute(tx.sql)
  return rows[0]?.last ?? undefined
}
