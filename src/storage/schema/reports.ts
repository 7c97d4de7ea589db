import type { Generated } from 'kysely'
import type { EventId, RoomId, UserId } from '../../core/ids.ts'

/** The table of reports: `migrations/0014_reports.sql`. */
export type ReportTables = { reports: ReportTable }

type ReportTable = {
  report_nid: Generated<number>
  received_ts: number
  reporter: UserId
  room_id: RoomId | null
  event_id: EventId | null
  reported_user: UserId | null
  reason: string | null
  score: number | null
}
