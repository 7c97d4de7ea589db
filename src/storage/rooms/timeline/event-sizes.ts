import { sql } from 'kysely'
import type { Db } from '../../engine/database.ts'
import { sharedLoads } from '../../engine/shared-loads.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { loadEvents } from './events.ts'

/** The maximum size of events in the room versions with a limit; larger ones are rejected. */
export const MAX_EVENT_BYTES = 65_536

/** Loads the first of these events that fit together. After one that does not fit, later ones are omitted too. */
export async function loadEventsWithin(
  db: Db,
  nids: readonly number[],
  bytes: number,
): Promise<Map<number, StoredEvent>> {
  if (nids.length * MAX_EVENT_BYTES <= bytes) return loadEvents(db, nids)
  const sizes = await loadEventSizes(db, nids)
  let left = bytes
  const beyond = nids.findIndex((nid) => {
    left -= sizes.get(nid) ?? 0
    return left < 0
  })
  return loadEvents(db, beyond < 0 ? nids : nids.slice(0, beyond))
}

/** Returns the bytes of events by nid, without loading uncached ones. */
export async function loadEventSizes(db: Db, nids: readonly number[]): Promise<Map<number, number>> {
  const sizes = new Map<number, number>()
  const absent: number[] = []
  for (const nid of nids) {
    const cached = db.caches.events.peek(nid)
    if (cached) sizes.set(nid, cached.size)
    else absent.push(nid)
  }
  if (absent.length === 0) return sizes
  for (const [nid, size] of await loadSizes(db, absent)) sizes.set(nid, size)
  return sizes
}

const loadSizes = sharedLoads<number, number>(
  async (db, nids) => {
    const { rows } = await sql<{
      event_nid: number
      size: number
    }>`select event_nid, octet_length(json) as size from events
      where event_nid = any(${nids}::bigint[])`.execute(db.sql)
    return new Map(rows.map(({ event_nid, size }) => [event_nid, size]))
  },
  { whileReading: true },
)
