import { type Html, html } from '../../../core/text/html.ts'
import { listSigningKeys } from '../../../services/federation/serving/rotate-signing-key.ts'
import {
  countDestinations,
  type ListedDestination,
  listDestinations,
} from '../../../storage/federation/destination-lists.ts'
import type { OwnKey } from '../../../storage/federation/own-keys.ts'
import { ofServer, postResetConnection } from '../../admin/federation/destinations.ts'
import { postRotateSigningKey } from '../../admin/server/signing-keys.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { moment } from '../moment.ts'
import { redirectTo } from '../page.ts'
import { actLinks, actPage, doneAt, doneNotice } from './act-page.ts'
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

const ROTATE_PATH = `${FEDERATION_PATH}/rotate-signing-key`

/** The servers to which this one sends, and the keys with which it signs. */
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
    const [rows, total, keys] = await Promise.all([
      listDestinations(app.database, part, page),
      countDestinations(app.database, part),
      listSigningKeys(app),
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
${pageLinks(visit, { from: query.from, count: rows.length, total, link })}
<h2>${words.signingKeys}</h2>
${table(visit, { label: words.signingKeys, columns: keyColumns(visit, app.clock.now()), rows: keys })}
${actLinks(visit, [{ act: 'rotateSigningKey', path: ROTATE_PATH }])}`
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

function keyColumns(visit: AdminVisit, now: number): Column<OwnKey>[] {
  const { federation: words } = visit.texts.admin
  return [
    { title: words.key, cell: ({ key_id }) => html`<span class="id">${key_id}</span>` },
    {
      title: words.state,
      cell: ({ expired_ts: at }) => {
        if (at === null) return badge(words.inUse, 'good')
        return html`${at > now ? words.validUntil : words.oldSince} ${moment(visit, at)}`
      },
    },
  ]
}

/** Sends to a server again at once. */
const retryServerAct = actPage({
  ...{ act: 'retryServer', path: `${FEDERATION_PATH}/:destination/retry`, section: 'federation', params: ofServer },
  subject: (_params, { admin }) => ({ path: FEDERATION_PATH, label: admin.sections.federation }),
  fields: (_app, { params }) => [html`<p><code>${params.destination}</code></p>`],
  async perform(app, visit) {
    await performAct(app, visit, postResetConnection, { params: visit.params })
    return redirectTo(doneAt(FEDERATION_PATH, 'retryServer'))
  },
})

const rotateSigningKeyAct = actPage({
  ...{ act: 'rotateSigningKey', path: ROTATE_PATH, section: 'federation', needs: 'recent sign-in' },
  subject: (_params, { admin }) => ({ path: FEDERATION_PATH, label: admin.sections.federation }),
  perform: (app, visit) => performAct(app, visit, postRotateSigningKey, {}),
})

export const federationActs: readonly AnyEndpoint[] = [...retryServerAct, ...rotateSigningKeyAct]
