import { sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import type { Db, Tx } from '../../engine/database.ts'
import { appendToStream } from '../../engine/stream-append.ts'

/** The recomputed states before and after an event, where they differ from the stored ones. */
export type RecomputedStates = { event_nid: number; state_before: number; state_after: number }

const CHUNK = 5000

/** Returns the nids of a room's timeline events after an order, in that order. */
export async function loadTimelineNids(db: Db, roomId: RoomId, after: number, limit: number): Promise<number[]> {
  const { rows } = await sql<{ event_nid: number }>`select event_nid from events
    where room_id = ${roomId} and event_order > ${after}::bigint order by event_order limit ${limit}::int`.execute(
    db.sql,
  )
  return rows.map(({ event_nid }) => event_nid)
}

/**
 * Replaces the states before and after some events. The room's current states at their arrival stay as they were,
 * because clients have received these.
 */
export async function storeRecomputedStates(
  tx: Tx,
  roomId: RoomId,
  states: readonly RecomputedStates[],
): Promise<void> {
  if (states.length === 0) return
  for (let start = 0; start < states.length; start += CHUNK) {
    const chunk = states.slice(start, start + CHUNK)
    await sql`update events set room_before = coalesce(events.room_before, events.state_before),
        room_after = coalesce(events.room_after, events.state_after), state_before = recomputed.state_before,
        state_after = recomputed.state_after
      from unnest(${chunk.map(({ event_nid }) => event_nid)}::bigint[],
        ${chunk.map(({ state_before }) => state_before)}::bigint[],
        ${chunk.map(({ state_after }) => state_after)}::bigint[]) as recomputed(event_nid, state_before, state_after)
      where events.event_nid = recomputed.event_nid`.execute(tx.sql)
  }
  await sql`update room_heads set recomputations = recomputations + 1 where room_id = ${roomId}`.execute(tx.sql)
  // Every process evicts the events that it has cached with the old states.
  appendToStream(tx, { kind: 'history_purged', detail: roomId })
}
