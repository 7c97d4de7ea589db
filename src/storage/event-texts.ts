import { sql } from 'kysely'
import type { EventId } from '../core/ids.ts'
import type { Db } from './database.ts'

/** An event as other servers get it, unparsed: for answers with many thousand, which would only push others out of the cache. */
export type EventText = { event_nid: number; event_id: EventId; json: string }

/** The texts of events by nid, in no particular order. */
export async function loadEventTexts(db: Db, nids: readonly number[]): Promise<EventText[]> {
  const { rows } = await sql<EventText>`select event_nid, event_id, json from events
    where event_nid = any(${nids}::bigint[])`.execute(db.sql)
  return rows
}

/** The texts of events by id, in no particular order; unknown and rejected ones are left out. */
export async function loadEventTextsById(db: Db, eventIds: readonly EventId[]): Promise<EventText[]> {
  const { rows } = await sql<EventText>`select event_nid, event_id, json from events
    where event_id = any(${eventIds}::text[]) and rejected is null`.execute(db.sql)
  return rows
}
