import { sql } from 'kysely'
import type { RoomId, UserId } from '../../../core/ids.ts'
import type { Db } from '../../engine/database.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { loadEvents } from './events.ts'

/** The events of a sender in a room's timeline; bounds in milliseconds since 1970, null: none. */
export type SenderPage = {
  roomId: RoomId
  sender: UserId
  /** Exclusive bound of event_order. */
  before: number
  afterTs: number | null
  beforeTs: number | null
  limit: number
}

/** Returns messages of a sender, and the events of the sender's own membership, the newest first. */
export async function loadEventsOfSender(
  db: Db,
  { roomId, sender, before, afterTs, beforeTs, limit }: SenderPage,
): Promise<StoredEvent[]> {
  const { rows } = await sql<{ event_nid: number }>`select event_nid from events
    where room_id = ${roomId} and event_order < ${before}::bigint and sender = ${sender}
      and (state_key is null and type <> 'm.room.redaction' or type = 'm.room.member' and state_key = sender)
      ${afterTs === null ? sql`` : sql`and origin_server_ts > ${afterTs}::bigint`}
      ${beforeTs === null ? sql`` : sql`and origin_server_ts < ${beforeTs}::bigint`}
    order by event_order desc limit ${limit}::int`.execute(db.sql)
  const events = await loadEvents(
    db,
    rows.map((row) => row.event_nid),
  )
  return rows.flatMap((row) => events.get(row.event_nid) ?? [])
}
