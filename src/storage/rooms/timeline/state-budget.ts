import { sql } from 'kysely'
import type { Db } from '../../engine/database.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { loadEventSizes, MAX_EVENT_BYTES } from './event-sizes.ts'
import { loadEvents } from './events.ts'

/** The remaining bytes of state events in a response. */
export type StateBudget = {
  left: number
  /** The maximum size of events that are being loaded. */
  reserved: number
  /** The number of events that did not fit. */
  dropped: number
}

/** Each room gets at least this, even if others have used up the budget. */
const LEAST_BYTES = 256 * 1024

/** State that clients require. */
const ESSENTIAL = [
  'm.room.create',
  'm.room.power_levels',
  'm.room.join_rules',
  'm.room.history_visibility',
  'm.room.encryption',
  'm.room.name',
  'm.room.canonical_alias',
  'm.room.avatar',
  'm.room.topic',
  'm.room.tombstone',
  'm.room.server_acl',
  'm.room.guest_access',
  'm.room.pinned_events',
]

export function stateBudget(bytes: number): StateBudget {
  return { left: bytes, reserved: 0, dropped: 0 }
}

/** Loads events of a room's state that fit: essential ones first, and then the smallest. */
export async function loadStateWithin(
  db: Db,
  nids: readonly number[],
  budget: StateBudget,
): Promise<Map<number, StoredEvent>> {
  const largest = nids.length * MAX_EVENT_BYTES
  if (largest > budget.left - budget.reserved) return loadEvents(db, await fittingNids(db, nids, budget))
  // Few enough to skip reading their sizes. Rooms are read concurrently, so their bytes are reserved first.
  budget.reserved += largest
  const events = await loadEvents(db, nids)
  budget.reserved -= largest
  for (const { size } of events.values()) budget.left -= size
  return events
}

async function fittingNids(db: Db, nids: readonly number[], budget: StateBudget): Promise<readonly number[]> {
  const sizes = await loadEventSizes(db, nids)
  const bytes = nids.reduce((sum, nid) => sum + (sizes.get(nid) ?? 0), 0)
  const room = Math.max(budget.left, LEAST_BYTES)
  budget.left -= Math.min(bytes, room)
  if (bytes <= room) return nids
  const { rows } = await sql<{ event_nid: number }>`select event_nid from (
      select event_nid, sum(octet_length(json)) over (order by not type = any(${ESSENTIAL}::text[]), octet_length(json), event_nid) as bytes
      from events where event_nid = any(${nids}::bigint[])
    ) as sized where bytes <= ${room}::bigint`.execute(db.sql)
  budget.dropped += nids.length - rows.length
  const kept = new Set(rows.map(({ event_nid }) => event_nid))
  return nids.filter((nid) => kept.has(nid))
}
