import { type RawBuilder, sql } from 'kysely'
import type { EventId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import type { EventRow } from '../../schema/rooms.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { cachedEvent, cacheEvents } from './events.ts'

/**
 * The number of chain events to read beyond those known to be needed: few at first, because most of a chain is often
 * cached.
 */
const FIRST_LOOK = 8
const LOOK_GROWTH = 8
const LONGEST_LOOK = 5000

/**
 * Adds to `into` the events with these ids and their auth chains, without unknown ones. Events in `into` are not read
 * again. A chain of any length takes few queries.
 */
export async function loadWithAuthChains(
  db: Db,
  ids: readonly EventId[],
  into: Map<EventId, StoredEvent>,
  own: ReadonlyMap<EventId, StoredEvent> = new Map(),
): Promise<void> {
  const read = new Map<EventId, StoredEvent>()
  const walked = new Set<EventId>()
  let wanted = [...ids]
  for (let look = FIRST_LOOK; ; look = Math.min(look * LOOK_GROWTH, LONGEST_LOOK)) {
    const absent: EventId[] = []
    for (let id = wanted.pop(); id !== undefined; id = wanted.pop()) {
      if (walked.has(id)) continue
      const event = own.get(id) ?? into.get(id) ?? read.get(id) ?? cachedEvent(db, id)
      if (!event) {
        absent.push(id)
        continue
      }
      walked.add(id)
      into.set(id, event)
      wanted.push(...event.auth_event_ids)
    }
    if (absent.length === 0) return
    db.caches.counts.events.misses += absent.length
    for (const event of await readChains(db, absent, absent.length + look)) read.set(event.event_id, event)
    for (const id of absent) if (!read.has(id)) walked.add(id)
    wanted = absent
  }
}

/** Returns the first events of these and their auth chains, nearest first, up to a limit. */
async function readChains(db: Db, ids: readonly EventId[], limit: number): Promise<StoredEvent[]> {
  const { times } = db.caches.forgotten
  const { rows } = await sql<EventRow>`with recursive ${authChainQuery(ids)}
    select event.* from (select event_id from chain limit ${limit}) near
    cross join lateral (select * from events where events.event_id = near.event_id offset 0) event`.execute(db.sql)
  return cacheEvents(db, rows, times)
}

/**
 * For `with recursive`: `chain(event_id)` contains these events and their auth chains, nearest first. In room versions
 * 1 and 2 `auth_events` are pairs of id and hash. The offsets, here and where the chain is read, prevent a join with
 * the whole table; without an order PostgreSQL stops at the limit. PostgreSQL refuses JSON with an escaped NUL, which
 * events may have anywhere except in these ids.
 */
export function authChainQuery(ids: readonly EventId[]): RawBuilder<unknown> {
  return sql`chain(event_id) as (
      select unnest(${ids}::text[])
      union
      select case json_typeof(reference) when 'array' then reference ->> 0 else reference #>> '{}' end
      from chain
      cross join lateral (select json from events where events.event_id = chain.event_id offset 0) referrer
      cross join lateral json_array_elements(replace(referrer.json, '\\u0000', '\\ufffd')::json -> 'auth_events') as reference
    )`
}
