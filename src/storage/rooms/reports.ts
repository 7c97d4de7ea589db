import type { EventId, RoomId, UserId } from '../../core/ids.ts'
import type { Tx } from '../engine/database.ts'

/** The target of a report: an event in its room, a room, or a user. */
export type Reported = { room_id: RoomId; event_id?: EventId } | { reported_user: UserId }

/** A report as stored; `received_ts` in milliseconds since 1970. */
export type NewReport = Reported & {
  reporter: UserId
  received_ts: number
  reason: string | null
  score: number | null
}

/** Stores a report for the administrators. */
export async function insertReport(tx: Tx, report: NewReport): Promise<void> {
  await tx.sql.insertInto('reports').values(report).execute()
}
