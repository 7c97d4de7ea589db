import { sql } from 'kysely'
import type { EventId, RoomId, UserId } from '../../core/ids.ts'
import type { Db, Tx } from '../engine/database.ts'

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

/** A report of an event, for administrators. `sender`: of the event; null: it is gone. */
export type EventReport = {
  report_nid: number
  received_ts: number
  room_id: RoomId
  name: string | null
  canonical_alias: string | null
  event_id: EventId
  reporter: UserId
  sender: UserId | null
  reason: string | null
  score: number | null
}

/** Which reports of events a list has; null: any. */
export type EventReportFilter = { reporter: UserId | null; roomId: RoomId | null; sender: UserId | null }

export type ReportPage = { newestFirst: boolean; from: number; limit: number }

const EVENT_REPORT = sql`report_nid, received_ts, reports.room_id, rooms.name, rooms.canonical_alias, reports.event_id,
  reporter, events.sender, reason, score`
const FROM_EVENT_REPORTS = sql`from reports left join rooms on rooms.room_id = reports.room_id
  left join events on events.event_id = reports.event_id`

/** Returns a page of the reports of events. */
export async function listEventReports(
  db: Db,
  filter: EventReportFilter,
  { newestFirst, from, limit }: ReportPage,
): Promise<EventReport[]> {
  const { rows } = await sql<EventReport>`select ${EVENT_REPORT} ${FROM_EVENT_REPORTS}
    where reports.event_id is not null ${eventConditions(filter)}
    order by report_nid ${newestFirst ? sql`desc` : sql`asc`} limit ${limit}::int offset ${from}::bigint`.execute(
    db.sql,
  )
  return rows
}

/** Returns how many reports of events a list has. */
export async function countEventReports(db: Db, filter: EventReportFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count ${FROM_EVENT_REPORTS}
    where reports.event_id is not null ${eventConditions(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Finds a report of an event; undefined if there is none of this number. */
export async function findEventReport(db: Db, reportNid: number): Promise<EventReport | undefined> {
  const { rows } = await sql<EventReport>`select ${EVENT_REPORT} ${FROM_EVENT_REPORTS}
    where report_nid = ${reportNid}::bigint and reports.event_id is not null`.execute(db.sql)
  return rows[0]
}

function eventConditions({ reporter, roomId, sender }: EventReportFilter) {
  return sql`${reporter === null ? sql`` : sql`and reporter = ${reporter}`}
    ${roomId === null ? sql`` : sql`and reports.room_id = ${roomId}`}
    ${sender === null ? sql`` : sql`and events.sender = ${sender}`}`
}

/** A report of a user, for administrators. */
export type UserReport = {
  report_nid: number
  received_ts: number
  reported_user: UserId
  reporter: UserId
  reason: string | null
}

/** Which reports of users a list has; null: any. */
export type UserReportFilter = { reporter: UserId | null; reportedUser: UserId | null }

/** Returns a page of the reports of users. */
export async function listUserReports(
  db: Db,
  filter: UserReportFilter,
  { newestFirst, from, limit }: ReportPage,
): Promise<UserReport[]> {
  const { rows } = await sql<UserReport>`select report_nid, received_ts, reported_user, reporter, reason from reports
    where reported_user is not null ${userConditions(filter)}
    order by report_nid ${newestFirst ? sql`desc` : sql`asc`} limit ${limit}::int offset ${from}::bigint`.execute(
    db.sql,
  )
  return rows
}

/** Returns how many reports of users a list has. */
export async function countUserReports(db: Db, filter: UserReportFilter): Promise<number> {
  const { rows } = await sql<{ count: number }>`select count(*) as count from reports
    where reported_user is not null ${userConditions(filter)}`.execute(db.sql)
  return rows[0]!.count
}

/** Finds a report of a user; undefined if there is none of this number. */
export async function findUserReport(db: Db, reportNid: number): Promise<UserReport | undefined> {
  const { rows } = await sql<UserReport>`select report_nid, received_ts, reported_user, reporter, reason from reports
    where report_nid = ${reportNid}::bigint and reported_user is not null`.execute(db.sql)
  return rows[0]
}

function userConditions({ reporter, reportedUser }: UserReportFilter) {
  return sql`${reporter === null ? sql`` : sql`and reporter = ${reporter}`}
    ${reportedUser === null ? sql`` : sql`and reported_user = ${reportedUser}`}`
}

/** Deletes a report of an event or of a user; false if there is none of this number. */
export async function deleteReport(tx: Tx, reportNid: number, about: 'event' | 'user'): Promise<boolean> {
  const { numAffectedRows } = await sql`delete from reports where report_nid = ${reportNid}::bigint
    and ${about === 'event' ? sql`event_id is not null` : sql`reported_user is not null`}`.execute(tx.sql)
  return numAffectedRows === 1n
}
