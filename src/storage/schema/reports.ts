import type { Generated } from 'kysely'
import type { EventId, RoomId, UserId } from '../../core/ids.ts'

/** Tables of reports: `migrations/0014_reports.sql`. */
export type ReportTables = { reports: ReportTable; report_notes: ReportNoteRow }

type ReportTable = {
  report_nid: Generated<number>
  received_ts: number
  reporter: UserId
  room_id: RoomId | null
  event_id: EventId | null
  reported_user: UserId | null
  reason: string | null
  score: number | null
  state: Generated<ReportState>
}

export const REPORT_STATES = ['open', 'resolved', 'dismissed'] as const
export type ReportState = (typeof REPORT_STATES)[number]

export type ReportNoteRow = {
  note_nid: number
  report_nid: number
  written_ts: number
  author: UserId
  state: ReportState | null
  note: string | null
}
