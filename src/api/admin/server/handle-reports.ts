import { z } from 'zod'
import {
  changeReport,
  pageOfReports,
  type ReportDetails,
  removeReport,
  showReport,
} from '../../../services/rooms/directory/handle-reports.ts'
import type { ReportRow } from '../../../storage/rooms/handled-reports.ts'
import { REPORT_STATES } from '../../../storage/schema/reports.ts'
import { direction } from '../../client/rooms/pagination-fields.ts'
import { queryInteger, roomId, userId } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { hearthV1, listPage } from '../admin-fields.ts'

/** Characters of a note on a report. */
export const MAX_NOTE = 10_000
const state = z.enum(REPORT_STATES)
const ofReport = z.object({ reportId: queryInteger })

const getReports = route({
  method: 'GET',
  path: hearthV1('/reports'),
  auth: 'admin',
  query: listPage.extend({
    from: queryInteger.optional(),
    dir: direction.default('backwards'),
    kind: z.enum(['event', 'room', 'user']).optional(),
    state: state.optional(),
    room_id: roomId.optional(),
    user_id: userId.optional(),
    target_user_id: userId.optional(),
  }),
  async handle({ query: { from = null, limit, dir, kind = null, state: inState = null, ...wanted } }, app) {
    const { room_id = null, user_id: reporter = null, target_user_id: reportedUser = null } = wanted
    const filter = { kind, state: inState, roomId: room_id, reporter, reportedUser }
    const page = { newestFirst: dir === 'backwards', beyond: from, limit }
    const { reports, total, next } = await pageOfReports(app, filter, page)
    return { reports: reports.map(describe), total, ...(next !== null && { next_token: next }) }
  },
})

const getReport = route({
  method: 'GET',
  path: hearthV1('/reports/:reportId'),
  auth: 'admin',
  params: ofReport,
  handle: async ({ params }, app) => describeWhole(await showReport(app, params.reportId)),
})

export const putReport = route({
  method: 'PUT',
  path: hearthV1('/reports/:reportId'),
  auth: 'admin',
  params: ofReport,
  body: z
    .object({ state: state.nullish(), note: z.string().min(1).max(MAX_NOTE).nullish() })
    .refine(({ state: wanted, note }) => wanted != null || note != null, 'needs a state or a note'),
  async handle({ params, body, session }, app) {
    const change = { state: body.state ?? null, note: body.note ?? null }
    await changeReport(app, { reportNid: params.reportId, author: session.userId, ...change })
    return describeWhole(await showReport(app, params.reportId))
  },
})

export const deleteReportOfAnyKind = route({
  method: 'DELETE',
  path: hearthV1('/reports/:reportId'),
  auth: 'admin',
  params: ofReport,
  async handle({ params }, app) {
    await removeReport(app, params.reportId)
    return {}
  },
})

export const handledReportEndpoints: readonly AnyEndpoint[] = [getReports, getReport, putReport, deleteReportOfAnyKind]

function describe({ report_nid, reporter, reported_user, ...report }: ReportRow) {
  const kind = reported_user !== null ? 'user' : report.event_id === null ? 'room' : 'event'
  return { id: report_nid, kind, user_id: reporter, target_user_id: reported_user, ...report }
}

function describeWhole({ report, event, notes }: ReportDetails) {
  return {
    ...describe(report),
    event_json: event ? { ...event.pdu, event_id: event.event_id } : null,
    notes: notes.map(({ written_ts, author, state: set, note }) => ({ ts: written_ts, author, state: set, note })),
  }
}
