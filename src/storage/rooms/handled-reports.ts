import { sql } from 'kysely'
import type { EventId, RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'
import type { ReportNoteRow, ReportState } from '../schema/reports.ts'

/** A report of an event, a room or a user. `sender`: of the event; null: it is gone, or the report is of another kind. */
export type ReportRow = {
  report_nid: number
  received_ts: number
  reporter: UserId
  reason: string | null
  score: number | null
  state: ReportState
  room_id: RoomId | null
  room_name: string | null
  canonical_alias: string | null
  event_id: EventId | null
  sender: UserId | null
  reported_user: UserId | null
}

export type ReportKind = 'event' | 'room' | 'user'

/** Which reports a list has; null: any. */
export type ReportFilter = {
  kind: ReportKind | null
  state: ReportState | null
  roomId: RoomId | null
  reporter: UserId | null
  reportedUser: UserId | null
}

/** `beyond`: the last report of the page before; null: the first page. */
type Page = { newestFirst: boolean; beyond: number | null; limit: number }

const COLUMNS = sql`report_nid, received_ts, reporter, reason, score, state, reports.room_id, rooms.name as room_name,
  rooms.canonical_alias, reports.event_id, events.sender, reported_user`
const SOURCES = sql`from reports left join rooms on rooms.room_id = reports.room_id
  left join events on events.event_id = reports.event_id`

/** Returns a page of the reports of all kinds. */
export async function listReports(
  db: Db,
  filter: ReportFilter,
  { newestFirst, beyond, limit }: Page,
): Promise<ReportRow[]> {
  const page = newestFirst
    ? sql`report_nid < ${beyond ?? Number.MAX_SAFE_INTEGER}::bigint ${conditions(filter)} order by report_nid desc`
    : sql`report_nid > ${beyond ?? 0}::bigint ${conditions(filter)} order by report_nid`
  const { rows } = await sql<ReportRow>`select ${COLUMNS} ${SOURCES} where ${page} limit ${limit}::int`.execute(db.sql)
  return rows
}

/** Counts the reports of all kinds, up to a bound. */
export async function countReports(db: Db, filter: ReportFilter, most: number): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from (
    select 1 from reports where report_nid > 0 ${conditions(filter)} limit ${most}::int) as counted`.execute(db.sql)
  return rows[0]!.count
}

/** Finds a report of any kind. */
export async function findReport(db: Db, reportNid: number): Promise<ReportRow | undefined> {
  const { rows } = await sql<ReportRow>`select ${COLUMNS} ${SOURCES} where report_nid = ${reportNid}::bigint`.execute(
    db.sql,
  )
  return rows[0]
}

function conditions({ kind, state, roomId, reporter, reportedUser }: ReportFilter) {
  return sql`${kind === null ? sql`` : ofKind(kind)}
    ${state === null ? sql`` : sql`and state = ${state}`}
    ${roomId === null ? sql`` : sql`and reports.room_id = ${roomId}`}
    ${reporter === null ? sql`` : sql`and reporter = ${reporter}`}
    ${reportedUser === null ? sql`` : sql`and reported_user = ${reportedUser}`}`
}

function ofKind(kind: ReportKind) {
  if (kind === 'user') return sql`and reported_user is not null`
  return kind === 'event'
    ? sql`and reports.event_id is not null`
    : sql`and reports.room_id is not null and reports.event_id is null`
}

/** Changes the state of a report; false if there is none of this number. */
export async function setReportState(tx: Tx, reportNid: number, state: ReportState): Promise<boolean> {
  const { numAffectedRows } =
    await sql`update reports set state = ${state} where report_nid = ${reportNid}::bigint`.execute(tx.sql)
  return numAffectedRows === 1n
}

/** Adds a note, or a change of the state, to a report; false if it has `most` of them already. */
export async function insertReportNote(
  tx: Tx,
  { report_nid, written_ts, author, state, note }: Omit<ReportNoteRow, 'note_nid'>,
  most: number,
): Promise<boolean> {
  const { numAffectedRows } = await sql`insert into report_notes (report_nid, written_ts, author, state, note)
    select ${report_nid}::bigint, ${written_ts}::bigint, ${author}, ${state}, ${note}
    where (select count(*) from report_notes where report_nid = ${report_nid}::bigint) < ${most}::int`.execute(tx.sql)
  return numAffectedRows === 1n
}

/** Returns what administrators did about a report, the oldest first. */
export async function loadReportNotes(db: Db, reportNid: number): Promise<ReportNoteRow[]> {
  const { rows } = await sql<ReportNoteRow>`select * from report_notes where report_nid = ${reportNid}::bigint
    order by note_nid`.execute(db.sql)
  return rows
}

/** Deletes a report of any kind with its notes; false if there is none of this number. */
export async function deleteAnyReport(tx: Tx, reportNid: number): Promise<boolean> {
  const { numAffectedRows } = await sql`delete from reports where report_nid = ${reportNid}::bigint`.execute(tx.sql)
  return numAffectedRows === 1n
}
