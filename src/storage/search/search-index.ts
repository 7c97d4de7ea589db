import { sql } from 'kysely'
import type { RoomId, UserId } from '../../core/ids.ts'
import type { SearchableKey } from '../../core/text/searchable-text.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { StreamRow } from '../schema/stream.ts'

/** An event in the index. */
export type SearchEntry = {
  eventNid: number
  roomId: RoomId
  sender: UserId
  originServerTs: number
  key: SearchableKey
  words: readonly string[]
}

/**
 * Returns the position of the index, locked until the transaction ends; undefined: another transaction has the lock,
 * and `wait` is not set.
 */
export async function lockSearchProgress(tx: Tx, wait: boolean): Promise<number | undefined> {
  const { rows } = await sql<{ stream_position: number }>`select stream_position from search_progress
    for update ${wait ? sql`` : sql`skip locked`}`.execute(tx.sql)
  return rows[0]?.stream_position
}

/** Returns the position of the index. */
export async function loadSearchProgress(db: Db): Promise<number> {
  const { rows } = await sql<{ stream_position: number }>`select stream_position from search_progress`.execute(db.sql)
  return rows[0]?.stream_position ?? 0
}

/** Advances the position of the index, which must be locked. */
export async function storeSearchProgress(tx: Tx, position: number): Promise<void> {
  await sql`update search_progress set stream_position = ${position}::bigint`.execute(tx.sql)
}

/** Returns the next rows of the stream, of all kinds. */
export async function loadRowsAfter(db: Db, position: number, limit: number): Promise<StreamRow[]> {
  const { rows } = await sql<StreamRow>`select * from stream where stream_position > ${position}::bigint
    order by stream_position limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Adds events to the index; existing ones are unchanged. */
export async function storeSearchEntries(tx: Tx, entries: readonly SearchEntry[]): Promise<void> {
  if (entries.length === 0) return
  await sql`insert into search_events (event_nid, room_id, sender, origin_server_ts, key, tokens, word_count)
    select event_nid, room_id, sender, origin_server_ts, key, string_to_array(words, ' ') || room_id, word_count
    from unnest(${entries.map((entry) => entry.eventNid)}::bigint[], ${entries.map((entry) => entry.roomId)}::text[],
      ${entries.map((entry) => entry.sender)}::text[], ${entries.map((entry) => entry.originServerTs)}::bigint[],
      ${entries.map((entry) => entry.key)}::text[], ${entries.map((entry) => entry.words.join(' '))}::text[],
      ${entries.map((entry) => entry.words.length)}::int[])
      as entries(event_nid, room_id, sender, origin_server_ts, key, words, word_count)
    on conflict (event_nid) do nothing`.execute(tx.sql)
}

/** Removes redacted events. */
export async function deleteSearchEntries(tx: Tx, eventIds: readonly string[]): Promise<void> {
  if (eventIds.length === 0) return
  await sql`delete from search_events using events where events.event_nid = search_events.event_nid
    and event_id = any(${eventIds}::text[])`.execute(tx.sql)
}

/** A search. Absent lists match everything; order and bound: see SearchPlace. */
export type EventSearch = {
  tokens: readonly string[]
  roomIds: readonly RoomId[]
  keys: readonly SearchableKey[]
  senders?: readonly string[] | undefined
  notSenders?: readonly string[] | undefined
  order: 'recent' | 'rank'
  after?: SearchPlace | undefined
}

/** The place of a result: by time or by number of words, then by nid. */
export type SearchPlace = { value: number; nid: number }

export type SearchHit = { event_nid: number; value: number; word_count: number }

/**
 * Returns the next events with all tokens: the newest first, or those with the highest share of matching tokens first.
 */
export async function findEvents(db: Db, search: EventSearch, limit: number): Promise<SearchHit[]> {
  const { after } = search
  const value = search.order === 'recent' ? sql`-origin_server_ts` : sql`word_count`
  const { rows } = await sql<SearchHit>`select event_nid, ${value} as value, word_count from search_events
    where ${conditions(search)}
    ${after ? sql`and (${value}, -event_nid) > (${after.value}::bigint, ${-after.nid}::bigint)` : sql``}
    order by ${value}, event_nid desc limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Counts the matching events, up to a limit. */
export async function countEvents(db: Db, search: EventSearch, limit: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*)::int as count from
    (select 1 from search_events where ${conditions(search)} limit ${limit}::int) as found`.execute(db.sql)
  return rows[0]?.count ?? 0
}

function conditions({ tokens, roomIds, keys, senders, notSenders }: EventSearch) {
  return sql`tokens @> ${tokens}::text[] and tokens && ${roomIds}::text[] and key = any(${keys}::text[])
    ${senders ? sql`and sender = any(${senders}::text[])` : sql``}
    ${notSenders ? sql`and not sender = any(${notSenders}::text[])` : sql``}`
}
