import { z } from 'zod'
import { isRoomId, isUserId } from '../../../core/ids.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { pageOfReports } from '../../../services/rooms/directory/handle-reports.ts'
import type { ReportRow } from '../../../storage/rooms/handled-reports.ts'
import { REPORT_STATES } from '../../../storage/schema/reports.ts'
import { moment } from '../moment.ts'
import type { Texts } from '../texts/en.ts'
import { doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { badge, type Column, keysetLinks, listForm, listLink, listQuery, ON_A_PAGE, table } from './list.ts'
import { REPORTS_PATH, userPath } from './paths.ts'
import { roomLink } from './rooms.ts'

const KINDS = ['all', 'event', 'room', 'user'] as const
const STATES = ['all', ...REPORT_STATES] as const

/** Reports of events, rooms and users, the newest first. */
export const getReportsPage = adminPage({
  method: 'GET',
  path: REPORTS_PATH,
  section: 'reports',
  query: listQuery.pick({ from: true, done: true }).extend({
    kind: z.enum(KINDS).catch('all'),
    state: z.enum(STATES).catch('open'),
    user: listQuery.shape.q,
    reporter: listQuery.shape.q,
    room: listQuery.shape.q,
  }),
  async handle(visit, app) {
    const { query, texts } = visit
    const { reports: words, sections } = texts.admin
    const filter = {
      kind: query.kind === 'all' ? null : query.kind,
      state: query.state === 'all' ? null : query.state,
      roomId: isRoomId(query.room) ? query.room : null,
      reporter: isUserId(query.reporter) ? query.reporter : null,
      reportedUser: isUserId(query.user) ? query.user : null,
    }
    const page = { newestFirst: true, beyond: query.from || null, limit: ON_A_PAGE }
    const { reports, next } = await pageOfReports(app, filter, page)
    const options = <Value extends string>(values: readonly Value[], names: Record<Value, string>) =>
      values.map((value) => ({ value, text: names[value] }))
    const fields = [
      { name: 'user', label: words.reportedUser, value: query.user },
      { name: 'reporter', label: words.reporter, value: query.reporter },
      { name: 'room', label: words.kinds.room, value: query.room },
    ]
    const filters = [
      { name: 'state', label: words.state, value: query.state, options: options(STATES, words.states) },
      { name: 'kind', label: words.kind, value: query.kind, options: options(KINDS, words.kinds) },
    ]
    const body = html`${doneNotice(visit, query.done)}
${listForm(visit, { path: REPORTS_PATH, fields, filters })}
${table(visit, { label: sections.reports, columns: columnsOf(visit), rows: reports })}
${keysetLinks(visit, { isFirst: query.from === 0, next, link: listLink(REPORTS_PATH, query) })}`
    return { title: sections.reports, body }
  },
})

function columnsOf(visit: AdminVisit): Column<ReportRow>[] {
  const { reports: words } = visit.texts.admin
  return [
    {
      title: words.report,
      cell: (report) => html`<a href="${REPORTS_PATH}/${report.report_nid}">${words.title(report.report_nid)}</a>`,
    },
    { title: words.about, cell: (report) => reportedOf(visit.texts, report) },
    { title: words.reason, cell: ({ reason }) => html`<bdi class="text">${reason ?? ''}</bdi>` },
    { title: words.reporter, cell: ({ reporter }) => userLink(reporter) },
    { title: words.received, cell: ({ received_ts }) => moment(visit, received_ts) },
    { title: words.state, cell: ({ state }) => reportBadge(visit.texts, state) },
  ]
}

/** Renders the state of a report. */
export function reportBadge({ admin }: Texts, state: ReportRow['state']): Html {
  return badge(admin.reports.states[state], state === 'open' ? 'bad' : 'plain')
}

/** Renders what a report is about: a user, a room, or an event of a user in a room. */
export function reportedOf({ admin: { reports: words } }: Texts, report: ReportRow): Html {
  if (report.reported_user !== null) return html`${words.kinds.user}: ${userLink(report.reported_user)}`
  const room = roomLink({ room_id: report.room_id!, name: report.room_name, canonical_alias: report.canonical_alias })
  if (report.event_id === null) return html`${words.kinds.room}: ${room}`
  return html`${words.kinds.event}: ${report.sender === null ? words.gone : userLink(report.sender)} ${room}`
}

/** Renders a link to the page of a user. Operators and others who are no users have none. */
export function userLink(userId: string): Html {
  if (!userId.startsWith('@')) return html`<span class="id">${userId}</span>`
  return html`<a href="${userPath(userId)}" class="id">${userId}</a>`
}
