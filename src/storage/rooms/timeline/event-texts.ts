import { sql } from 'kysely'
import type { EventId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import { authChainQuery } from './auth-chains.ts'

/**
 * The JSON text of an event for other servers, unparsed: for responses with many thousand events, which would evict
 * others from the cache.
 */
export type EventText = { event_nid: number; event_id: EventId; json: string }

/** Returns the texts of events by nid, unordered. */
export async function loadEventTexts(db: Db, nids: readonly number[]): Promise<EventText[]> {
  const { rows } = await sql<EventText>`select event_nid, event_id, json from events
    where event_nid = any(${nids}::bigint[])`.execute(db.sql)
  return rows
}

/**
 * Returns the texts of these events and the nearest of their auth chains, at most `limit`, unordered; unknown and
 * rejected events are omitted.
 */
export async function loadChainTexts(db: Db, eventIds: readonly EventId[], limit: number): Promise<EventText[]> {
  const { rows } = await sql<EventText>`with recursive ${authChainQuery(eventIds)}
    select event.* from (select event_id from chain limit ${limit}) near cross join lateral (
      select event_nid, event_id, json from events where events.event_id = near.event_id and rejected is null offset 0
    ) event`.execute(db.sql)
  return rows
}
