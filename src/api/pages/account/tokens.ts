import { z } from 'zod'
import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import type { DeviceId } from '../../../core/ids.ts'
import { type Html, html } from '../../../core/text/html.ts'
import {
  createPersonalToken,
  MAX_TOKEN_NAME,
  type NewPersonalToken,
  PERSONAL_TOKEN_SCOPES,
  revokePersonalToken,
} from '../../../services/users/personal-tokens.ts'
import { loadPersonalTokens, type PersonalToken } from '../../../storage/users/personal-tokens.ts'
import { alert, checkbox, field, form, notice, select } from '../form.ts'
import type { Page } from '../layout.ts'
import { momentText } from '../moment.ts'
import { redirectTo } from '../page.ts'
import { type AccountVisit, accountForm, accountSubpage, messageOf, type Problem } from './account-page.ts'

const PATH = '/account/tokens'
const query = z.object({ done: z.string().optional() })
type TokensVisit = AccountVisit<undefined, z.output<typeof query>>

const DAY_MS = 24 * 60 * 60_000
/** The offered lifetimes, in days; 0: without an end. */
const LIFETIMES = [30, 90, 365, 0] as const
const DEVICE_ID_LENGTH = 10
const [API_SCOPE, ...ADMIN_SCOPES] = PERSONAL_TOKEN_SCOPES

/** Creates and revokes personal tokens. With one anyone can act as the user, so that they need a recent sign-in. */
export const [getTokensPage, postTokensPage] = accountForm({
  path: PATH,
  query,
  needs: 'recent sign-in',
  show: tokensPage,
  async submit(app, visit) {
    const { form: filled, session } = visit
    if (filled.get('do') !== 'revoke') return create(app, visit)
    await revokePersonalToken(app, { tokenId: filled.get('token') ?? '', userId: session.userId })
    return redirectTo(`${PATH}?done=revoked`)
  },
})

async function create(app: App, visit: TokensVisit): Promise<Page> {
  const { form: filled, session, browser, texts } = visit
  const name = (filled.get('name') ?? '').trim()
  if (name === '' || name.length > MAX_TOKEN_NAME)
    return tokensPage(app, visit, { alert: texts.tokens.nameNeeded(MAX_TOKEN_NAME), status: 400, filled })
  if (!app.config.personal_tokens.enabled) throw new ForbiddenError(texts.tokens.off)
  const days = Number(filled.get('days'))
  const encrypts = filled.has('device')
  const token = await createPersonalToken(app, {
    userId: session.userId,
    name,
    scope: filled.has('admin') ? PERSONAL_TOKEN_SCOPES.join(' ') : API_SCOPE,
    lifetimeMs: days > 0 ? days * DAY_MS : undefined,
    deviceId: encrypts ? (app.random.token(DEVICE_ID_LENGTH).toUpperCase() as DeviceId) : undefined,
    from: { ip: browser.ip, userAgent: browser.userAgent },
    by: session,
  })
  return newTokenPage(visit, token)
}

/** Shows a new token: the only time, since the database has its hash. */
function newTokenPage(visit: TokensVisit, { access_token, name, device_id }: NewPersonalToken): Page {
  const { tokens: words } = visit.texts
  const device = device_id === null ? '' : html`<p>${words.itsDevice} <code>${device_id}</code></p>`
  const body = html`<p>${words.createdHint(name)}</p>
<p><code>${access_token}</code></p>
${device}
<p>${words.once}</p>
<p><a role="button" href="${PATH}">${words.kept}</a></p>`
  return accountSubpage(visit, { title: words.created, body })
}

async function tokensPage(app: App, visit: TokensVisit, problem: Problem = {}): Promise<Page> {
  const { tokens: words } = visit.texts
  const tokens = await loadPersonalTokens(app.database, visit.session.userId)
  const done = problem.alert === undefined ? messageOf(visit.query.done, { revoked: words.revoked }) : undefined
  const list = tokens.map((token) => tokenItem(app, visit, token))
  const body = html`${alert(problem.alert)}
${notice(done)}
<p>${words.explanation}</p>
${list.length === 0 ? html`<p>${words.none}</p>` : html`<ul class="entries">${list}</ul>`}
${app.config.personal_tokens.enabled ? creationForm(app, visit, problem) : html`<p>${words.off}</p>`}`
  return accountSubpage(visit, { title: words.title, body, status: problem.status ?? 200 })
}

function tokenItem(app: App, visit: TokensVisit, token: PersonalToken): Html {
  const { tokens: words } = visit.texts
  const { token_id, name, created_ts, last_used_ts, expires_ts, device_id, scope } = token
  const isExpired = expires_ts !== null && expires_ts <= app.clock.now()
  const facts = [
    words.since(momentText(visit, created_ts)),
    last_used_ts === 0 ? words.unused : words.used(momentText(visit, last_used_ts)),
    ...(expires_ts === null ? [] : [words[isExpired ? 'expired' : 'expires'](momentText(visit, expires_ts))]),
    ...(device_id === null ? [] : [words.device(device_id)]),
    ...(ADMIN_SCOPES.some((admin) => scope.includes(admin)) ? [words.isAdmin] : []),
  ]
  const revocation = form(visit, {
    what: 'revoke',
    fields: html`<input type="hidden" name="token" value="${token_id}">`,
    submit: words.revoke,
    label: words.revokeThis(name),
    look: 'outline secondary',
  })
  return html`<li><div><strong class="text">${name}</strong>
<small>${facts.join(' ')}</small></div>${revocation}</li>`
}

function creationForm(app: App, visit: TokensVisit, { filled }: Problem): Html {
  const { tokens: words } = visit.texts
  const longest = app.config.personal_tokens.max_lifetime
  const days = LIFETIMES.filter((each) => longest === undefined || (each > 0 && each * DAY_MS <= longest))
  const chosen = filled?.get('days') ?? String(days.includes(90) ? 90 : days.at(-1))
  const name = { name: 'name', value: filled?.get('name') ?? '', required: true, maxlength: MAX_TOKEN_NAME }
  const options = days.map((each) => ({ value: String(each), text: each === 0 ? words.endless : words.days(each) }))
  const fields = [
    field(words.name, name, { hint: words.nameHint }),
    days.length === 0 ? html`` : select(words.lifetime, { name: 'days', options, value: chosen }),
    checkbox(words.encrypts, { name: 'device', checked: filled?.has('device') ?? false }, { hint: words.encryptsHint }),
    ...(visit.session.isAdmin
      ? [checkbox(words.admin, { name: 'admin', checked: filled?.has('admin') ?? false }, { hint: words.adminHint })]
      : []),
  ]
  return html`<section aria-labelledby="create"><h2 id="create">${words.create}</h2>
${form(visit, { what: 'create', fields, submit: words.submit })}</section>`
}
