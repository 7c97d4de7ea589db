import { sql } from 'kysely'
import type { Event } from '../core/events/pdu.ts'
import type { EventId } from '../core/ids.ts'
import type { Tx } from './database.ts'
import type { TakeNids } from './nids.ts'
import { withoutUnsigned } from './stored-event.ts'

/** An event that is known without its place in the room's timeline. */
export type Outlier = Event & {
  /** Why the authorisation rules refuse it; absent: they do not. */
  rejected_reason?: string | undefined
}

const CHUNK = 2000

/**
 * Stores events outside of the timeline: state and auth events of other servers, that other events refer to. Those that are here already, as
 * outliers or not, stay as they are. Returns the nids of all of them. The caller has verified them.
 */
export async function storeOutliers(
  tx: Tx,
  takeNids: TakeNids,
  events: readonly Outlier[],
): Promise<Map<EventId, number>> {
  const nids = new Map<EventId, number>()
  const distinct = [...new Map(events.map((event) => [event.event_id, event])).values()]
  for (let start = 0; start < distinct.length; start += CHUNK) {
    const chunk = distinct.slice(start, start + CHUNK)
    await insertOutliers(tx, await takeNids(tx, chunk.length), chunk)
    const ids = chunk.map((event) => event.event_id)
    const { rows } = await sql<{ event_id: EventId; event_nid: number }>`select event_id, event_nid from events
      where event_id = any(${ids}::text[])`.execute(tx.sql)
    for (const row of rows) nids.set(row.event_id, row.event_nid)
  }
  return nids
}

async function insertOutliers(tx: Tx, nids: readonly number[], events: readonly Outlier[]): Promise<void> {
  const column = <Value>(pick: (event: Outlier) => Value): Value[] => events.map(pick)
  await sql`insert into events (event_nid, event_id, room_id, type, state_key, sender, origin_server_ts, depth, json, rejected)
    select * from unnest(${nids}::bigint[], ${column((event) => event.event_id)}::text[], ${column((event) => event.room_id)}::text[],
      ${column(({ pdu }) => pdu.type)}::text[], ${column(({ pdu }) => pdu.state_key ?? null)}::text[],
      ${column(({ pdu }) => pdu.sender)}::text[], ${column(({ pdu }) => pdu.origin_server_ts)}::bigint[],
      ${column(({ pdu }) => pdu.depth)}::bigint[], ${column(({ pdu }) => JSON.stringify(withoutUnsigned(pdu)))}::text[],
      ${column((event) => event.rejected_reason ?? null)}::text[])
    on conflict (event_id) do nothing`.execute(tx.sql)
}
