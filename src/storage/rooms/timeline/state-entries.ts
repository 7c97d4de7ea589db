import { sql } from 'kysely'
import type { EventId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'

/** The state key of an event. */
export type StateEntry = { event_nid: number; event_id: EventId; type: string; state_key: string }

/** Returns the keys of state events by nid, without reading the events: states may have many thousand. */
export async function loadStateEntries(
  db: Db,
  nids: Iterable<number>,
  appended: ReadonlyMap<number, StoredEvent>,
): Promise<Map<number, StateEntry>> {
  const entries = new Map<number, StateEntry>()
  const absent: number[] = []
  for (const nid of nids) {
    const event = appended.get(nid) ?? db.caches.events.peek(nid)
    if (event) entries.set(nid, entryOf(event))
    else absent.push(nid)
  }
  if (absent.length === 0) return entries
  const { rows } = await sql<StateEntry>`select event_nid, event_id, type, state_key from events
    where event_nid = any(${absent}::bigint[])`.execute(db.sql)
  for (const row of rows) entries.set(row.event_nid, row)
  return entries
}

function entryOf({ event_nid, event_id, pdu }: StoredEvent): StateEntry {
  return { event_nid, event_id, type: pdu.type, state_key: pdu.state_key ?? '' }
}
