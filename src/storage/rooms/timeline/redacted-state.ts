import { sql } from 'kysely'
import type { RoomId } from '../../../core/ids.ts'
import type { Db, Tx } from '../../engine/database.ts'
import { headOf, isNewForClients, type LockedRoom } from './locked-room.ts'

/** Records which events of rooms' current state were redacted, for clients that have received them unredacted. */
export async function noteRedactedState(tx: Tx, rooms: readonly LockedRoom[]): Promise<void> {
  const noted = rooms.flatMap((room) => {
    const { room_id, next_order } = headOf(room)
    // Without other new events, sliding sync sends it with the next event; sync v3 sends it by the stream row.
    const order = room.events.some(isNewForClients) ? next_order - 1 : next_order
    const emptied = room.redactions.filter(({ wasCurrent }) => wasCurrent)
    return emptied.map(({ event }) => ({ room_id, order, nid: event.event_nid }))
  })
  if (noted.length === 0) return
  await sql`insert into redacted_state (room_id, event_order, event_nid)
    select * from unnest(${noted.map(({ room_id }) => room_id)}::text[], ${noted.map(({ order }) => order)}::bigint[],
      ${noted.map(({ nid }) => nid)}::bigint[]) on conflict do nothing`.execute(tx.sql)
}

/** Returns the nids of state events that were redacted in some rooms since an event_order. */
export async function loadRedactedState(
  db: Db,
  spans: readonly { roomId: RoomId; after: number }[],
): Promise<Map<RoomId, number[]>> {
  if (spans.length === 0) return new Map()
  const { rows } = await sql<{ room_id: RoomId; nids: number[] }>`select room_id, array_agg(distinct event_nid) as nids
    from redacted_state join unnest(${spans.map(({ roomId }) => roomId)}::text[], ${spans.map(({ after }) => after)}::bigint[])
      as known(room_id, after) using (room_id) where event_order > after group by room_id`.execute(db.sql)
  return new Map(rows.map(({ room_id, nids }) => [room_id, nids]))
}
