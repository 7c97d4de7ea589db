import { sql } from 'kysely'
import type { EventId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import { authChainQuery } from './auth-chains.ts'

/** An event as other servers get it, unparsed: for answers with many thousand, which would only push others out of the cache. */
export type EventText = { event_nid: number; event_id: EventId; json: string }

/** The texts of events by nid, in no particular order. */
export async function loadEventTexts(db: Db, nids: readonly number[]): Promise<EventText[]> {
  const { rows } = await sql<EventText>`select event_nid, event_id, json from events
    where event_nid = any(${nids}::bigint[])`.execute(db.sql)
  return rows
}

/**
 * The texts of these events and of the nearest that their `auth_events` lead to, at most `limit` in all, in no particular order; unknown and rejected
 * ones are left out.
 */
export async function loadChainTexts(db: Db, eventIds: readonly EventId[], limit: number): Promise<EventText[]> {
  const { rows } = await sql<EventText>`with recursive ${authChainQuery(eventIds)}
    select event.* from (select event_id from chain limit ${limit}) near cross join lateral (
      select event_nid, event_id, json from events where events.event_id = near.event_id and rejected is null offset 0
    ) event`.execute(db.sql)
  return rows
}
