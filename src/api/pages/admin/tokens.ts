import { z } from 'zod'
import { type Html, html } from '../../../core/text/html.ts'
import type { RegistrationTokenRow } from '../../../storage/schema/users.ts'
import { findRegistrationToken, listRegistrationTokens } from '../../../storage/users/registration-tokens.ts'
import { deleteToken, ofToken, postNewToken, putToken } from '../../admin/users/registration-tokens.ts'
import type { AnyEndpoint } from '../../http/route.ts'
import { field } from '../form.ts'
import { moment } from '../moment.ts'
import { redirectTo } from '../page.ts'
import type { Texts } from '../texts/en.ts'
import { actLinks, actPage, doneAt, doneNotice } from './act-page.ts'
import { type AdminVisit, adminPage } from './admin-page.ts'
import { badge, type Column, listForm, listLink, listQuery, numberText, ON_A_PAGE, pageLinks, table } from './list.ts'
import { TOKENS_PATH } from './paths.ts'
import { performAct } from './perform-act.ts'

const GROUPS = ['all', 'valid', 'invalid'] as const
const subject = (_params: unknown, { admin }: Texts) => ({ path: TOKENS_PATH, label: admin.sections.tokens })

export const getTokensListPage = adminPage({
  method: 'GET',
  path: TOKENS_PATH,
  section: 'tokens',
  query: listQuery.pick({ from: true, done: true }).extend({ group: z.enum(GROUPS).catch('all') }),
  async handle(visit, app) {
    const { query, texts } = visit
    const { registrationTokens: words, sections } = texts.admin
    const valid = query.group === 'all' ? null : query.group === 'valid'
    const now = app.clock.now()
    const found = await listRegistrationTokens(app.database, { valid, now, from: query.from, limit: ON_A_PAGE + 1 })
    const tokens = found.slice(0, ON_A_PAGE)
    const options = GROUPS.map((value) => ({ value, text: words.groups[value] }))
    const filters = [{ name: 'group', label: words.state, value: query.group, options }]
    const page = { from: query.from, count: tokens.length, total: null, hasMore: found.length > ON_A_PAGE }
    const { enabled, requires_token: isRequired } = app.config.registration
    const body = html`${doneNotice(visit, query.done)}
<p>${enabled ? (isRequired ? words.required : words.notRequired) : words.closed}</p>
${actLinks(visit, [{ act: 'createToken', path: `${TOKENS_PATH}/new` }])}
${listForm(visit, { path: TOKENS_PATH, filters })}
${table(visit, { label: sections.tokens, columns: columnsOf(visit, now), rows: tokens })}
${pageLinks(visit, { ...page, link: listLink(TOKENS_PATH, query) })}`
    return { title: sections.tokens, body }
  },
})

function columnsOf(visit: AdminVisit, now: number): Column<RegistrationTokenRow>[] {
  const { registrationTokens: words, acts } = visit.texts.admin
  const at = (token: string, below: string) => `${TOKENS_PATH}/${encodeURIComponent(token)}/${below}`
  const number = (value: number) => numberText(visit, value)
  return [
    { title: words.token, cell: ({ token }) => html`<code>${token}</code>` },
    {
      title: words.uses,
      cell: ({ uses_allowed: most, uses_completed: used }) =>
        most === null ? words.unlimitedUses(number(used)) : words.limitedUses(number(used), number(most)),
    },
    { title: words.expires, cell: ({ expires_ts: at }) => (at === null ? words.never : moment(visit, at)) },
    {
      title: words.state,
      cell: ({ uses_allowed, uses_completed, expires_ts, revoked_ts }) => {
        if (revoked_ts !== null) return badge(words.revoked, 'bad')
        if (expires_ts !== null && expires_ts <= now) return badge(words.expired, 'bad')
        const isUsedUp = uses_allowed !== null && uses_completed >= uses_allowed
        return isUsedUp ? badge(words.usedUp, 'bad') : badge(words.groups.valid, 'good')
      },
    },
    {
      title: words.change,
      cell: ({ token }) =>
        html`<a href="${at(token, 'edit')}" aria-label="${acts.editToken.title}: ${token}">${acts.editToken.title}</a> ·
<a href="${at(token, 'delete')}" aria-label="${acts.deleteToken.title}: ${token}">${acts.deleteToken.title}</a>`,
    },
  ]
}

/** The fields of the limits of a token. */
function limitFields(texts: Texts, given: { uses: string; expires: string }): Html[] {
  const { registrationTokens: words } = texts.admin
  return [
    field(words.most, { name: 'uses', type: 'number', min: 0, value: given.uses }, { hint: words.mostHint }),
    field(words.expiry, { name: 'expires', type: 'datetime-local', value: given.expires }, { hint: words.expiryHint }),
  ]
}

/** Reads the limits of a form; an empty field sets none. Times are in UTC. */
function limitsOf(form: URLSearchParams) {
  const uses = form.get('uses') ?? ''
  const expires = form.get('expires') ?? ''
  return {
    uses_allowed: uses === '' ? null : Number(uses),
    expiry_time: expires === '' ? null : Date.parse(`${expires}Z`),
  }
}

const create = actPage({
  ...{ act: 'createToken', path: `${TOKENS_PATH}/new`, section: 'tokens', subject },
  fields(_app, { texts }, filled) {
    const { registrationTokens: words } = texts.admin
    const attributes = { name: 'token', maxlength: 64, autocomplete: 'off', spellcheck: 'false' }
    return [
      field(words.token, { ...attributes, value: filled?.get('token') ?? '' }, { hint: words.tokenHint }),
      ...limitFields(texts, { uses: filled?.get('uses') ?? '1', expires: filled?.get('expires') ?? '' }),
    ]
  },
  perform: (app, visit) =>
    performAct(app, visit, postNewToken, {
      body: { ...limitsOf(visit.form), token: visit.form.get('token')?.trim() || undefined },
    }),
})

const edit = actPage({
  ...{ act: 'editToken', path: `${TOKENS_PATH}/:token/edit`, section: 'tokens', subject, params: ofToken },
  async fields(app, { texts, params }, filled) {
    const token = await findRegistrationToken(app.database, params.token)
    const uses = token?.uses_allowed ?? ''
    const expires = token?.expires_ts ? new Date(token.expires_ts).toISOString().slice(0, 16) : ''
    return [
      html`<p><code>${params.token}</code></p>`,
      ...limitFields(texts, {
        uses: filled?.get('uses') ?? String(uses),
        expires: filled?.get('expires') ?? expires,
      }),
    ]
  },
  perform: (app, visit) => performAct(app, visit, putToken, { params: visit.params, body: limitsOf(visit.form) }),
})

const remove = actPage({
  ...{ act: 'deleteToken', path: `${TOKENS_PATH}/:token/delete`, section: 'tokens', subject, params: ofToken },
  look: 'danger',
  fields: (_app, { params }) => [html`<p><code>${params.token}</code></p>`],
  async perform(app, visit) {
    await performAct(app, visit, deleteToken, { params: visit.params })
    return redirectTo(doneAt(TOKENS_PATH, 'deleteToken'))
  },
})

export const tokenActs: AnyEndpoint[] = [create, edit, remove].flat()
