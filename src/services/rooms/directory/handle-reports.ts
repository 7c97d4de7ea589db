import type { App } from '../../../app.ts'
import { ForbiddenError, NotFoundError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { storableText } from '../../../storage/engine/storable-text.ts'
import {
  countReports,
  deleteAnyReport,
  findReport,
  insertReportNote,
  listReports,
  loadReportNotes,
  type ReportFilter,
  type ReportRow,
  setReportState,
} from '../../../storage/rooms/handled-reports.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import type { ReportNoteRow, ReportState } from '../../../storage/schema/reports.ts'
import type { StoredEvent } from '../../../storage/schema/stored-event.ts'

const MOST_NOTES = 1000
/** A total is not counted further than this. */
const MOST_COUNTED = 10_000

type Handling = Pick<App, 'database' | 'clock'>

/** A page of reports; `next`: where the next page begins, null if there is none. */
export type ReportList = { reports: ReportRow[]; total: number; next: number | null }

/** Returns a page of the reports of all kinds. `total` counts at most 10,000. */
export async function pageOfReports(
  app: Pick<App, 'database'>,
  filter: ReportFilter,
  page: { newestFirst: boolean; beyond: number | null; limit: number },
): Promise<ReportList> {
  const [found, total] = await Promise.all([
    listReports(app.database, filter, { ...page, limit: page.limit + 1 }),
    countReports(app.database, filter, MOST_COUNTED),
  ])
  const reports = found.slice(0, page.limit)
  return { reports, total, next: found.length > page.limit ? (reports.at(-1)?.report_nid ?? null) : null }
}

/** A report with its event, unless that is gone, and with what administrators did about it. */
export type ReportDetails = { report: ReportRow; event: StoredEvent | undefined; notes: ReportNoteRow[] }

/** Returns a report of any kind. Throws M_NOT_FOUND. */
export async function showReport(app: Pick<App, 'database'>, reportNid: number): Promise<ReportDetails> {
  const [report, notes] = await Promise.all([
    findReport(app.database, reportNid),
    loadReportNotes(app.database, reportNid),
  ])
  if (!report) throw unknownReport()
  const [event] = report.event_id === null ? [] : await loadEventsById(app.database, [report.event_id])
  return { report, event, notes }
}

/** A change of a report by an administrator: sets its state, writes a note, or both. */
export type ReportChange = { reportNid: number; author: UserId; state: ReportState | null; note: string | null }

/** Changes a report, and remembers who did it. Throws M_NOT_FOUND, and M_FORBIDDEN for too many notes. */
export async function changeReport(app: Handling, { reportNid, author, state, note }: ReportChange): Promise<void> {
  const entry = { report_nid: reportNid, written_ts: app.clock.now(), author, state }
  await app.database.write(async (tx) => {
    const exists = state === null ? await findReport(tx, reportNid) : await setReportState(tx, reportNid, state)
    if (!exists) throw unknownReport()
    const text = note === null ? null : storableText(note)
    if (!(await insertReportNote(tx, { ...entry, note: text }, MOST_NOTES))) {
      throw new ForbiddenError(`The report has ${MOST_NOTES} notes already. Delete the report if it is done.`)
    }
  })
}

/** Deletes a report of any kind. Throws M_NOT_FOUND. */
export async function removeReport(app: Pick<App, 'database'>, reportNid: number): Promise<void> {
  if (!(await app.database.write((tx) => deleteAnyReport(tx, reportNid)))) throw unknownReport()
}

function unknownReport(): NotFoundError {
  return new NotFoundError('There is no such report')
}
