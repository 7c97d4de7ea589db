import { type RawBuilder, sql } from 'kysely'
import type { EventId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import type { EventRow } from '../../schema/rooms.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { cachedEvent, cacheEvents } from './events.ts'

/** How many events of chains are read beyond those that are known to be needed: at first few, for most of a chain is often in the cache. */
const FIRST_LOOK = 8
const LOOK_GROWTH = 8
const LONGEST_LOOK = 5000

/**
 * Adds to `into` the events with these ids and all that their `auth_events` lead to; unknown ones are left out. What is in `into` already is taken
 * from there. A chain that is as long as you like takes few queries.
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

/** The first so many of these events and of what they cite, nearest first. */
async function readChains(db: Db, ids: readonly EventId[], limit: number): Promise<StoredEvent[]> {
  const { times } = db.caches.forgotten
  const { rows } = await sql<EventRow>`with recursive ${authChainQuery(ids)}
    select event.* from (select event_id from chain limit ${limit}) near
    cross join lateral (select * from events where events.event_id = near.event_id offset 0) event`.execute(db.sql)
  return cacheEvents(db, rows, times)
}

/**
 * For `with recursive`: `chain(event_id)` is these events and all that they cite, nearest first. In room versions 1 and 2 `auth_events` are pairs of id
 * and hash. The offsets, here and where the chain is read, keep the database from joining with the whole table; without an order it reads no further
 * than a limit. The database refuses JSON with the escape of NUL, which events may have anywhere but in these ids.
 */
export function authChainQuery(ids: readonly EventId[]): RawBuilder<unknown> {
  return sql`chain(event_id) as (
      select unnest(${ids}::text[])
      union
      select case json_typeof(cited) when 'array' then cited ->> 0 else cited #>> '{}' end
      from chain
      cross join lateral (select json from events where events.event_id = chain.event_id offset 0) citing
      cross join lateral json_array_elements(replace(citing.json, '\\u0000', '\\ufffd')::json -> 'auth_events') as cited
    )`
}
