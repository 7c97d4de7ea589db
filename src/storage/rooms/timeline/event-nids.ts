import { sql } from 'kysely'
import type { EventId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'

/** The data of a state event that state storage needs. */
export type EventNid = {
  event_id: EventId
  event_nid: number
  rejected: boolean
  redacted: boolean
  is_state: boolean
  event_order: number | null
}

/** Returns which of possibly many thousand events are stored, with their nids. */
export async function findEventNids(db: Db, ids: readonly EventId[]): Promise<Map<EventId, EventNid>> {
  if (ids.length === 0) return new Map()
  const { rows } = await sql<EventNid>`select event_id, event_nid, rejected is not null as rejected,
    redacted_by is not null as redacted, state_key is not null as is_state, event_order from events where event_id = any(${ids}::text[])`.execute(
    db.sql,
  )
  return new Map(rows.map((row) => [row.event_id, row]))
}
