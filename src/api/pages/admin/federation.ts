import { type Html, html } from '../../../core/text/html.ts'
import {
  countDestinations,
  type ListedDestination,
  listDestinations,
} from '../../../storage/federation/destination-lists.ts'
import { ofServer, postResetConnection } from '../../admin/federation/destinations.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { moment } from '../moment.ts'
import { redirectTo } from '../page.ts'
import { actPage, doneAt, doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import {
  badge,
  type Column,
  listForm,
  listLink,
  listQuery,
  ON_A_PAGE,
  orderFilter,
  orderQuery,
  pageLinks,
  parseOrder,
  searchField,
  table,
} from './list.ts'
import { FEDERATION_PATH } from './paths.ts'
import { performAct } from './perform-act.ts'

/** The servers to which this one sends. */
export const getFederationPage = adminPage({
  method: 'GET',
  path: FEDERATION_PATH,
  section: 'federation',
  query: listQuery.extend({
    sort: orderQuery(['destination', 'failure_ts', 'retry_last_ts'], 'destination'),
  }),
  async handle(visit, app) {
    const { query, texts } = visit
    const { federation: words, sections } = texts.admin
    const part = query.q.toLowerCase() || null
    const { column: order, isDescending } = parseOrder(query.sort)
    const page = { order, isDescending, from: query.from, limit: ON_A_PAGE }
    const [rows, total] = await Promise.all([
      listDestinations(app.database, part, page),
      countDestinations(app.database, part),
    ])
    const columns = columnsOf(visit)
    const link = listLink(FEDERATION_PATH, query)
    const body = html`${doneNotice(visit, query.done)}
${listForm(visit, {
  path: FEDERATION_PATH,
  fields: [searchField(visit, query.q, words.search)],
  filters: [orderFilter(visit, { value: query.sort, columns })],
})}
${table(visit, { label: sections.federation, columns, rows, order: query.sort, link })}
${pageLinks(visit, { from: query.from, count: rows.length, total, link })}`
    return { title: sections.federation, body }
  },
})

function columnsOf(visit: AdminVisit): Column<ListedDestination>[] {
  const { federation: words, acts } = visit.texts.admin
  const time = (at: number | null): Html | string => (at ? moment(visit, at) : '')
  return [
    {
      title: words.server,
      order: 'destination',
      cell: ({ destination }) => html`<span class="id">${destination}</span>`,
    },
    {
      title: words.state,
      cell: ({ failure_ts }) => (failure_ts === null ? badge(words.reached, 'good') : badge(words.failing, 'bad')),
    },
    { title: words.failingSince, order: 'failure_ts', cell: ({ failure_ts }) => time(failure_ts) },
    { title: words.lastAttempt, order: 'retry_last_ts', cell: ({ retry_last_ts }) => time(retry_last_ts) },
    {
      title: words.nextAttempt,
      cell: ({ destination, retry_interval, retry_last_ts }) => {
        if (retry_interval === 0) return ''
        const label = `${acts.retryServer.title}: ${destination}`
        const path = `${FEDERATION_PATH}/${encodeURIComponent(destination)}/retry`
        return html`${time(retry_last_ts + retry_interval)} · <a href="${path}" aria-label="${label}">${acts.retryServer.title}</a>`
      },
    },
  ]
}

/** Sends to a server again at once. */
export const federationActs: AnyEndpoint[] = actPage({
  ...{ act: 'retryServer', path: `${FEDERATION_PATH}/:destination/retry`, section: 'federation', params: ofServer },
  subject: (_params, { admin }) => ({ path: FEDERATION_PATH, label: admin.sections.federation }),
  fields: (_app, { params }) => [html`<p><code>${params.destination}</code></p>`],
  async perform(app, visit) {
    await performAct(app, visit, postResetConnection, { params: visit.params })
    return redirectTo(doneAt(FEDERATION_PATH, 'retryServer'))
  },
})
