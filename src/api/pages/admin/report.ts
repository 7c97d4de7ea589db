import { z } from 'zod'
import { type Html, html } from '../../../core/text/html.ts'
import { type ReportDetails, showReport } from '../../../services/rooms/directory/handle-reports.ts'
import { REPORT_STATES } from '../../../storage/schema/reports.ts'
import { deleteReportOfAnyKind, MAX_NOTE, putReport } from '../../admin/server/handle-reports.ts'
import { queryInteger } from '../../http/fields.ts'
import { select, textarea } from '../form.ts'
import { moment } from '../moment.ts'
import { redirectTo } from '../page.ts'
import type { Texts } from '../texts/en.ts'
import { actLinks, actPage, doneAt, doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { facts, listQuery } from './list.ts'
import { REPORTS_PATH, userPath } from './paths.ts'
import { performAct } from './perform-act.ts'
import { reportBadge, reportedOf, userLink } from './reports.ts'

const ofReport = z.object({ reportId: queryInteger })
type OfReport = z.output<typeof ofReport>

const pathOf = ({ reportId }: OfReport, below = '') => `${REPORTS_PATH}/${reportId}${below}`
const subject = (params: OfReport, { admin }: Texts) => ({
  path: pathOf(params),
  label: admin.reports.title(params.reportId),
})

/** A report with its event, and what administrators did about it. */
export const getReportPage = adminPage({
  method: 'GET',
  path: `${REPORTS_PATH}/:reportId`,
  section: 'reports',
  params: ofReport,
  query: listQuery.pick({ done: true }),
  async handle(visit, app) {
    const { texts, params } = visit
    const { reports: words, sections, acts } = texts.admin
    const details = await showReport(app, params.reportId)
    const { report } = details
    const author = report.reported_user ?? report.sender
    const isLocal = author?.endsWith(`:${app.serverName}`)
    const body = html`${doneNotice(visit, visit.query.done)}
${facts([
  [words.state, reportBadge(texts, report.state)],
  [words.about, reportedOf(texts, report)],
  [words.reason, html`<bdi class="text">${report.reason ?? ''}</bdi>`],
  [words.reporter, userLink(report.reporter)],
  [words.received, moment(visit, report.received_ts)],
])}
${actLinks(visit, [
  { act: 'handleReport', path: pathOf(params, '/handle') },
  { act: 'deleteReport', path: pathOf(params, '/delete'), isDangerous: true },
])}
${author && isLocal ? html`<p><a href="${userPath(author, '/suspend')}">${acts.suspend.title}: ${author}</a></p>` : ''}
${eventOf(visit, details)}
${notesOf(visit, details)}`
    return { title: words.title(params.reportId), body, back: { path: REPORTS_PATH, label: sections.reports } }
  },
})

function eventOf({ texts }: AdminVisit, { report, event }: ReportDetails): Html {
  if (report.event_id === null) return html``
  const { reports: words } = texts.admin
  const text = event?.pdu.content.body
  const content = event
    ? html`${typeof text === 'string' ? html`<blockquote><bdi class="text">${text}</bdi></blockquote>` : ''}
<details><summary>${words.source}</summary><pre class="source">${JSON.stringify(event.pdu, null, 2)}</pre></details>`
    : html`<p>${words.gone}</p>`
  return html`<section aria-labelledby="event"><h2 id="event">${words.kinds.event}</h2>
${content}</section>`
}

function notesOf(visit: AdminVisit, { notes }: ReportDetails): Html {
  if (notes.length === 0) return html``
  const { reports: words } = visit.texts.admin
  const items = notes.map(
    ({ written_ts, author, state, note }) =>
      html`<li><div>${userLink(author)}${state === null ? '' : html` ${reportBadge(visit.texts, state)}`}<small>${moment(visit, written_ts)}</small>
<bdi class="text">${note ?? ''}</bdi></div></li>`,
  )
  return html`<section aria-labelledby="notes"><h2 id="notes">${words.notes}</h2>
<ul class="entries">${items}</ul></section>`
}

const handle = actPage({
  act: 'handleReport',
  path: `${REPORTS_PATH}/:reportId/handle`,
  section: 'reports',
  params: ofReport,
  subject,
  async fields(app, { texts, params }, filled) {
    const { reports: words } = texts.admin
    const { report } = await showReport(app, params.reportId)
    const options = REPORT_STATES.map((value) => ({ value, text: words.states[value] }))
    const proposed = report.state === 'open' ? 'resolved' : report.state
    return [
      select(words.state, { name: 'state', options, value: filled?.get('state') ?? proposed }),
      textarea(words.note, { name: 'note', rows: 4, maxlength: MAX_NOTE }, { value: filled?.get('note') ?? '' }),
    ]
  },
  perform: (app, visit) =>
    performAct(app, visit, putReport, {
      params: visit.params,
      body: {
        state: z.enum(REPORT_STATES).nullable().catch(null).parse(visit.form.get('state')),
        note: visit.form.get('note') || null,
      },
    }),
})

const remove = actPage({
  act: 'deleteReport',
  path: `${REPORTS_PATH}/:reportId/delete`,
  section: 'reports',
  look: 'danger',
  params: ofReport,
  subject,
  async perform(app, visit) {
    await performAct(app, visit, deleteReportOfAnyKind, { params: visit.params })
    return redirectTo(doneAt(REPORTS_PATH, 'deleteReport'))
  },
})

export const reportActs = [handle, remove].flat()
