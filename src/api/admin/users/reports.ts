import { z } from 'zod'
import type { App } from '../../../app.ts'
import { NotFoundError } from '../../../core/errors.ts'
import {
  countEventReports,
  countUserReports,
  deleteReport,
  type EventReport,
  findEventReport,
  findUserReport,
  listEventReports,
  listUserReports,
  type UserReport,
} from '../../../storage/rooms/reports.ts'
import { loadEventsById } from '../../../storage/rooms/timeline/events.ts'
import { direction } from '../../client/rooms/pagination-fields.ts'
import { queryInteger, roomId, userId } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { listPage, nextToken, v1 } from '../admin-fields.ts'

const ofReport = z.object({ reportId: queryInteger })
const reportPage = listPage.extend({ dir: direction.default('backwards'), user_id: userId.optional() })

const getEventReports = route({
  method: 'GET',
  path: v1('/event_reports'),
  auth: 'admin',
  query: reportPage.extend({ room_id: roomId.optional(), event_sender_user_id: userId.optional() }),
  async handle({ query: { from, limit, dir, ...wanted } }, app) {
    const { user_id: reporter = null, room_id = null, event_sender_user_id: sender = null } = wanted
    const filter = { reporter, roomId: room_id, sender }
    const [reports, total] = await Promise.all([
      listEventReports(app.database, filter, { from, limit, newestFirst: dir === 'backwards' }),
      countEventReports(app.database, filter),
    ])
    return { event_reports: reports.map(describeEvent), total, ...nextToken(from, reports.length, total) }
  },
})

const getEventReport = route({
  method: 'GET',
  path: v1('/event_reports/:reportId'),
  auth: 'admin',
  params: ofReport,
  async handle({ params }, app) {
    const report = await findEventReport(app.database, params.reportId)
    if (!report) throw unknownReport()
    const [event] = await loadEventsById(app.database, [report.event_id])
    return { ...describeEvent(report), event_json: event ? { ...event.pdu, event_id: event.event_id } : {} }
  },
})

const deleteEventReport = route({
  method: 'DELETE',
  path: v1('/event_reports/:reportId'),
  auth: 'admin',
  params: ofReport,
  handle: ({ params }, app) => remove(app, params.reportId, 'event'),
})

const getUserReports = route({
  method: 'GET',
  path: v1('/user_reports'),
  auth: 'admin',
  query: reportPage.extend({ target_user_id: userId.optional() }),
  async handle({ query: { from, limit, dir, user_id: reporter = null, target_user_id: reportedUser = null } }, app) {
    const filter = { reporter, reportedUser }
    const [reports, total] = await Promise.all([
      listUserReports(app.database, filter, { from, limit, newestFirst: dir === 'backwards' }),
      countUserReports(app.database, filter),
    ])
    return { user_reports: reports.map(describeUserReport), total, ...nextToken(from, reports.length, total) }
  },
})

const getUserReport = route({
  method: 'GET',
  path: v1('/user_reports/:reportId'),
  auth: 'admin',
  params: ofReport,
  async handle({ params }, app) {
    const report = await findUserReport(app.database, params.reportId)
    if (!report) throw unknownReport()
    return describeUserReport(report)
  },
})

const deleteUserReport = route({
  method: 'DELETE',
  path: v1('/user_reports/:reportId'),
  auth: 'admin',
  params: ofReport,
  handle: ({ params }, app) => remove(app, params.reportId, 'user'),
})

export const reportEndpoints: readonly AnyEndpoint[] = [
  getEventReports,
  getEventReport,
  deleteEventReport,
  getUserReports,
  getUserReport,
  deleteUserReport,
]

async function remove(app: App, reportNid: number, about: 'event' | 'user') {
  if (!(await app.database.write((tx) => deleteReport(tx, reportNid, about)))) throw unknownReport()
  return {}
}

function describeEvent({ report_nid, reporter, ...report }: EventReport) {
  return { id: report_nid, user_id: reporter, ...report }
}

function describeUserReport({ report_nid, received_ts, reported_user, reporter, reason }: UserReport) {
  return { id: report_nid, received_ts, target_user_id: reported_user, user_id: reporter, reason }
}

function unknownReport(): NotFoundError {
  return new NotFoundError('Unknown report')
}
