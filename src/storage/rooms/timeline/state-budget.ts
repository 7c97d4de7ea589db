import { sql } from 'kysely'
import type { Db } from '../../engine/database.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { loadEventSizes, MAX_EVENT_BYTES } from './event-sizes.ts'
import { loadEvents } from './events.ts'

/** How much state an answer still has room for, in bytes of events. */
export type StateBudget = {
  left: number
  /** What is being loaded may be as large as this. */
  reserved: number
  /** How many events found no room. */
  dropped: number
}

/** Each room gets so much, even where others have used up the answer. */
const LEAST_BYTES = 256 * 1024

/** What clients cannot do without. */
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

/** Loads pieces of a room's state, as many as there is room for: what is essential first, and then the smallest. */
export async function loadStateWithin(
  db: Db,
  nids: readonly number[],
  budget: StateBudget,
): Promise<Map<number, StoredEvent>> {
  const largest = nids.length * MAX_EVENT_BYTES
  if (largest > budget.left - budget.reserved) return loadEvents(db, await fittingNids(db, nids, budget))
  // Few enough that their sizes need no look: rooms are read side by side, so the room for them is taken at once.
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
