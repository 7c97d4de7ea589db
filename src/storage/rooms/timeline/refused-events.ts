import { sql } from 'kysely'
import type { EventId, RoomId, UserId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import { storableText } from '../../engine/storable-text.ts'
import type { LockedRoom } from './locked-room.ts'

/** Why an event is refused: the authorization rules reject it, or it is soft-failed. */
export type Refusal = 'rejected' | 'soft_failed'

/** A refused event. `reason`: the rule; null: unknown, as for events of an import. */
export type RefusedEvent = {
  event_nid: number
  event_id: EventId
  room_id: RoomId
  type: string
  state_key: string | null
  sender: UserId
  origin_server_ts: number
  outcome: Refusal
  reason: string | null
}

/** The refused events that a list has; null: any. `beyond`: the last event of the page before; null: the first page. */
export type RefusedQuery = { roomId: RoomId | null; outcome: Refusal | null; beyond: number | null; limit: number }

/** Returns a page of refused events, those that arrived last first. */
export async function listRefusedEvents(
  db: Db,
  { roomId, outcome, beyond, limit }: RefusedQuery,
): Promise<RefusedEvent[]> {
  const { rows } =
    await sql<RefusedEvent>`select event_nid, event_id, room_id, type, state_key, sender, origin_server_ts,
      case when rejected is null then 'soft_failed' else 'rejected' end as outcome,
      coalesce(rejected, soft_failed_reason) as reason
    from events where (rejected is not null or soft_failed) and event_nid < ${beyond ?? Number.MAX_SAFE_INTEGER}::bigint
      ${roomId === null ? sql`` : sql`and room_id = ${roomId}`}
      ${outcome === null ? sql`` : sql`and (rejected is null) = ${outcome === 'soft_failed'}::boolean`}
    order by event_nid desc limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Stores, with the room, why an event is soft-failed. Few events are: the statement that stores events lacks it. */
export function noteSoftFailure(room: LockedRoom, nid: number, reason: string): void {
  room.writes.push(async (tx) => {
    await sql`update events set soft_failed_reason = ${storableText(reason)} where event_nid = ${nid}::bigint`.execute(
      tx.sql,
    )
  })
}

/** Returns why an event is refused; undefined if it is not, or the reason is unknown. */
export async function findRefusalReason(db: Db, nid: number): Promise<string | undefined> {
  const { rows } = await sql<{ reason: string | null }>`select
      coalesce(rejected, case when soft_failed then soft_failed_reason end) as reason
    from events where event_nid = ${nid}::bigint`.execute(db.sql)
  return rows[0]?.reason ?? undefined
}
