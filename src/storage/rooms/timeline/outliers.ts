import { sql } from 'kysely'
import type { EventId } from '../../../core/ids.ts'
import type { Event } from '../../../core/pdu.ts'
import type { Tx } from '../../engine/database.ts'
import type { TakeNids } from '../../engine/nids.ts'
import { storableText } from '../../engine/storable-text.ts'
import { enqueueJob } from '../../jobs/jobs.ts'
import { withoutUnsigned } from '../../schema/stored-event.ts'
import { APPLY_EARLY_REDACTIONS, filterEarlyRedacted } from './early-redactions.ts'
import { findEventNids } from './event-nids.ts'

/** An event that is stored without a place in the room's timeline. */
export type Outlier = Event & {
  /** The reason of the authorisation rules to reject it; absent: accepted. */
  rejected_reason?: string | undefined
  /** Its PDU as JSON without `unsigned`, if already computed. */
  json?: string
}

/** The nid of a stored event, and whether it is rejected or redacted. */
export type StoredOutlier = { event_nid: number; rejected: boolean; redacted: boolean }

const CHUNK = 2000

/**
 * Stores events outside the timeline: state and auth events of other servers that other events reference. Events that
 * are stored already, as outliers or not, are unchanged. Returns the stored form of all. The caller has verified them.
 */
export async function storeOutliers(
  tx: Tx,
  takeNids: TakeNids,
  events: readonly Outlier[],
): Promise<Map<EventId, StoredOutlier>> {
  const stored = new Map<EventId, StoredOutlier>()
  const distinct = [...new Map(events.map((event) => [event.event_id, event])).values()]
  for (let start = 0; start < distinct.length; start += CHUNK) {
    const chunk = distinct.slice(start, start + CHUNK)
    const nids = await takeNids(tx, chunk.length)
    if (await insertOutliers(tx, nids, chunk)) {
      for (const [place, { event_id, rejected_reason }] of chunk.entries()) {
        stored.set(event_id, { event_nid: nids[place]!, rejected: rejected_reason != null, redacted: false })
      }
    } else {
      const known = await findEventNids(
        tx,
        chunk.map(({ event_id }) => event_id),
      )
      for (const [id, event] of known) stored.set(id, event)
    }
    await enqueueEarlyRedactions(tx, chunk)
  }
  return stored
}

/** A job applies redactions that arrived before their target, because rooms are not locked here. */
async function enqueueEarlyRedactions(tx: Tx, events: readonly Outlier[]): Promise<void> {
  const rooms = new Map(events.map(({ event_id, room_id }) => [event_id, room_id]))
  for (const event_id of await filterEarlyRedacted(tx, [...rooms.keys()])) {
    const payload = { room_id: rooms.get(event_id)!, event_id }
    await enqueueJob(tx, { kind: APPLY_EARLY_REDACTIONS, key: event_id, payload, now: 0 })
  }
}

/** Returns whether all of them are new. */
async function insertOutliers(tx: Tx, nids: readonly number[], events: readonly Outlier[]): Promise<boolean> {
  const column = <Value>(pick: (event: Outlier) => Value): Value[] => events.map(pick)
  // Sends one text, whose parts need no escapes: JSON has no control characters.
  const texts = column(({ json, pdu }) => json ?? JSON.stringify(withoutUnsigned(pdu))).join('\u0001')
  const { numAffectedRows } =
    await sql`insert into events (event_nid, event_id, room_id, type, state_key, sender, origin_server_ts, depth, json, rejected)
    select * from unnest(${nids}::bigint[], ${column((event) => event.event_id)}::text[], ${column((event) => event.room_id)}::text[],
      ${column(({ pdu }) => pdu.type)}::text[], ${column(({ pdu }) => pdu.state_key ?? null)}::text[],
      ${column(({ pdu }) => pdu.sender)}::text[], ${column(({ pdu }) => pdu.origin_server_ts)}::bigint[],
      ${column(({ pdu }) => pdu.depth)}::bigint[], string_to_array(${texts}, chr(1)),
      ${column(({ rejected_reason: reason }) => (reason === undefined ? null : storableText(reason)))}::text[])
    on conflict (event_id) do nothing`.execute(tx.sql)
  return numAffectedRows === BigInt(events.length)
}
