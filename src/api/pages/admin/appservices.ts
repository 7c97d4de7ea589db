import { z } from 'zod'
import type { Appservice } from '../../../core/appservice.ts'
import { NotFoundError } from '../../../core/errors.ts'
import { html } from '../../../core/text/html.ts'
import { pingAppservice } from '../../../services/appservices/ping.ts'
import { type AppserviceState, listAppserviceStates } from '../../../storage/appservices/appservices.ts'
import { momentText } from '../moment.ts'
import type { Texts } from '../texts/en.ts'
import { actPage, doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { badge, type Column, listQuery, table } from './list.ts'
import { APPSERVICES_PATH } from './paths.ts'

type Row = { appservice: Appservice; state: AppserviceState | undefined }

/** The application services of the configuration, and how their transactions go. */
export const getAppservicesPage = adminPage({
  method: 'GET',
  path: APPSERVICES_PATH,
  section: 'appservices',
  query: listQuery.pick({ done: true }),
  async handle(visit, app) {
    const { appservices: words, sections } = visit.texts.admin
    const states = new Map((await listAppserviceStates(app.database)).map((state) => [state.appservice_id, state]))
    const rows = app.config.appservices.map((appservice) => ({ appservice, state: states.get(appservice.id) }))
    const body = html`${doneNotice(visit, visit.query.done)}
<p>${words.hint}</p>
${table(visit, { label: sections.appservices, columns: columnsOf(visit), rows })}`
    return { title: sections.appservices, body }
  },
})

function columnsOf(visit: AdminVisit): Column<Row>[] {
  const { appservices: words, acts } = visit.texts.admin
  const ping = acts.pingAppservice.title
  return [
    { title: words.id, cell: ({ appservice }) => html`<span class="text">${appservice.id}</span>` },
    { title: words.url, cell: ({ appservice }) => html`<span class="text">${appservice.url ?? words.noUrl}</span>` },
    { title: words.sender, cell: ({ appservice }) => html`<span class="id">${appservice.sender}</span>` },
    { title: words.namespaces, cell: ({ appservice }) => namespacesOf(appservice) },
    { title: words.state, cell: (row) => stateOf(visit, row) },
    {
      title: words.check,
      cell: ({ appservice: { id, url } }) =>
        url === null
          ? ''
          : html`<a href="${APPSERVICES_PATH}/${encodeURIComponent(id)}/ping" aria-label="${ping}: ${id}">${ping}</a>`,
    },
  ]
}

function namespacesOf({ namespaces }: Appservice) {
  const all = [...namespaces.users, ...namespaces.aliases, ...namespaces.rooms]
  return html`${all.map(({ regex }) => html`<div><code>${regex.source}</code></div>`)}`
}

function stateOf(visit: AdminVisit, { appservice, state }: Row) {
  const { appservices: words } = visit.texts.admin
  if (appservice.url === null) return badge(words.passive)
  if (!state || state.failures === 0) return badge(state?.is_sending ? words.sending : words.upToDate, 'good')
  return html`${badge(words.failing, 'bad')}<small>${words.failures(state.failures, momentText(visit, state.retry_ts))}</small>`
}

const ofAppservice = z.object({ appserviceId: z.string() })

const ping = actPage({
  act: 'pingAppservice',
  path: `${APPSERVICES_PATH}/:appserviceId/ping`,
  section: 'appservices',
  params: ofAppservice,
  subject: (_params: unknown, { admin }: Texts) => ({ path: APPSERVICES_PATH, label: admin.sections.appservices }),
  fields: (_app, { params }) => [html`<p class="text">${params.appserviceId}</p>`],
  // Changes nothing, so that the audit log has no entry.
  async perform(app, { params }) {
    const appservice = app.config.appservices.find(({ id }) => id === params.appserviceId)
    if (!appservice) throw new NotFoundError('There is no such application service')
    await pingAppservice(app, appservice, undefined)
  },
})

export const appserviceActs = ping
