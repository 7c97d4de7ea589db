import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { localpartOf, type UserId } from '../../../core/ids.ts'
import { type Html, html } from '../../../core/text/html.ts'
import type { UpstreamProvider } from '../../../infra/sign-in/upstream-provider.ts'
import { type AccountPlan, planAccount, requireUsableName } from '../../../services/sign-in/upstream-accounts.ts'
import {
  findUnlinkedPerson,
  linkToUser,
  registerPerson,
  type UnlinkedPerson,
} from '../../../services/sign-in/upstream-sign-in.ts'
import { isRecent, isUsableSession } from '../../../services/sign-in/web-sessions.ts'
import { alert, field, form } from '../form.ts'
import { type Page, serviceName } from '../layout.ts'
import { withContinue } from '../own-path.ts'
import { errorText, page, type Redirect, redirectTo, type Visit } from '../page.ts'
import { termsFields } from '../terms.ts'
import { afterStep } from './after-step.ts'
import { providerParams, requireProvider } from './provider-list.ts'
import { upstreamProblem } from './upstream-problem.ts'

const path = '/upstream/:providerId/account'
const query = z.object({ state: z.string().max(255) })

type AccountVisit = Visit<z.output<typeof providerParams>, z.output<typeof query>>
type Attempt = { name?: string; alert?: string; status?: number }

/** A person whom a provider knows, without an account here: offers a new one, or to link one that exists. */
export const getUpstreamAccount = page({
  method: 'GET',
  path,
  params: providerParams,
  query,
  handle: (visit, app) =>
    withPerson(app, visit, (provider, unlinked) => choicePage(app, visit, { provider, unlinked })),
})

export const postUpstreamAccount = page({
  method: 'POST',
  path,
  rateLimit: 'registration',
  params: providerParams,
  query,
  handle: (visit, app) => withPerson(app, visit, (provider, unlinked) => decide(app, visit, { provider, unlinked })),
})

async function withPerson(
  app: App,
  visit: AccountVisit,
  next: (provider: UpstreamProvider, unlinked: UnlinkedPerson) => Promise<Page | Redirect>,
): Promise<Page | Redirect> {
  const provider = requireProvider(app, visit.params)
  const found = await findUnlinkedPerson(app, visit.browser, { provider, state: visit.query.state })
  if (typeof found !== 'string') return next(provider, found)
  if (found === 'used' && visit.session) return redirectTo('/account')
  return upstreamProblem(visit, { provider, reason: found, on: undefined })
}

type Choice = { provider: UpstreamProvider; unlinked: UnlinkedPerson }

async function decide(app: App, visit: AccountVisit, choice: Choice): Promise<Page | Redirect> {
  const { provider, unlinked } = choice
  if (visit.form.get('do') === 'link') {
    const userId = linkableUser(app, visit, unlinked)
    if (userId === undefined) return choicePage(app, visit, choice)
    await linkToUser(app, { provider, unlinked, userId })
    return redirectTo(unlinked.on ?? '/account/providers')
  }
  const plan = await planAccount(app, provider.config, unlinked.person)
  const chosen = chosenName(provider, plan, visit.form.get('name') ?? '')
  if (unlinked.request.link_to !== null || chosen === undefined) return choicePage(app, visit, choice)
  try {
    const isAccepted = app.config.registration.terms.length === 0 || visit.form.has('accept')
    if (!isAccepted) throw new MatrixError(403, 'M_TERMS_NOT_SIGNED', visit.texts.register.acceptFirst)
    const localpart = await requireUsableName(app, chosen)
    const { step, on } = await registerPerson(app, visit.browser, { provider, unlinked, localpart })
    return afterStep(step, on)
  } catch (error) {
    if (!(error instanceof MatrixError)) throw error
    const text = errorText(visit.texts, error.toJSON())
    return choicePage(app, visit, { ...choice, attempt: { name: chosen, alert: text, status: error.status } })
  }
}

/** Returns the name for a new account; undefined if the person gets none. */
function chosenName({ config }: UpstreamProvider, plan: AccountPlan, name: string): string | undefined {
  const mayRegister = plan.kind === 'choose' || (plan.kind === 'conflict' && plan.mayRegister)
  if (!mayRegister) return undefined
  return config.choose_name || plan.kind !== 'choose' ? name.trim() : plan.suggestion
}

/** Returns who may link the person to their account: whoever signed in recently, and wanted it if it was said before. */
function linkableUser(app: App, { session }: AccountVisit, { request }: UnlinkedPerson): UserId | undefined {
  if (!session || !isUsableSession(session) || !isRecent(app, session)) return undefined
  return request.link_to === null || request.link_to === session.userId ? session.userId : undefined
}

async function choicePage(
  app: App,
  visit: AccountVisit,
  { provider, unlinked, attempt = {} }: Choice & { attempt?: Attempt },
): Promise<Page> {
  const texts = visit.texts.upstream
  const { person, request, on } = unlinked
  const user = linkableUser(app, visit, unlinked)
  if (request.link_to !== null && user === undefined)
    return upstreamProblem(visit, { provider, reason: 'other user', on })
  const linkForm = user === undefined ? undefined : linkFormOf(visit, { provider, unlinked, user })
  if (request.link_to !== null) return { title: texts.linkTitle, body: linkForm! }
  const plan = await planAccount(app, provider.config, person)
  const { name } = provider.config
  const existing = linkForm ?? signInLinks(visit, plan)
  const registration = registrationForm(app, visit, { provider, plan, attempt })
  const isNew = plan.kind === 'choose'
  const body = html`${alert(attempt.alert)}
<p>${texts.signedInAt(name, person.label)}</p>
${planText(visit, plan, name)}
${isNew ? [registration, existing] : [existing, registration]}`
  const title = plan.kind === 'choose' ? texts.newTitle(serviceName(app)) : texts.choiceTitle
  return { title, body, ...(attempt.status !== undefined && { status: attempt.status }) }
}

function linkFormOf(visit: AccountVisit, { provider, unlinked, user }: Choice & { user: UserId }): Html {
  const { linkQuestion, link } = visit.texts.upstream
  const question = linkQuestion(provider.config.name, unlinked.person.label, user)
  return html`<p>${question}</p>
${form(visit, { fields: [], submit: link, what: 'link' })}`
}

function planText({ texts: { upstream } }: AccountVisit, plan: AccountPlan, provider: string): Html {
  if (plan.kind === 'conflict') return html`<p>${upstream.conflict(plan.userIds.join(', '))}</p>`
  if (plan.kind === 'closed') return html`<p>${upstream.closed(provider)}</p>`
  return plan.kind === 'nameless' ? html`<p>${upstream.nameless(provider)}</p>` : html``
}

/** Renders how to sign in to an account that exists, in order to link it. */
function signInLinks({ texts: { upstream }, path: here }: AccountVisit, plan: AccountPlan): Html {
  const login = withContinue('/login?choose=1', here)
  if (plan.kind !== 'conflict') return html`<p><a href="${login}">${upstream.haveAccount}</a></p>`
  if (!plan.mayLink) return html`<p>${upstream.conflictHint}</p>`
  const items = plan.userIds.map((userId) => {
    const hinted = `${login}&login_hint=${encodeURIComponent(localpartOf(userId))}`
    return html`<li><a href="${hinted}" role="button">${upstream.signInAs(userId)}</a></li>`
  })
  const otherwise = plan.mayRegister ? html`` : html`<p>${upstream.notMine}</p>`
  return html`<ul class="choices">${items}</ul>
${otherwise}`
}

function registrationForm(
  app: App,
  visit: AccountVisit,
  { provider, plan, attempt }: { provider: UpstreamProvider; plan: AccountPlan; attempt: Attempt },
): Html {
  const texts = visit.texts.upstream
  if (plan.kind !== 'choose' && !(plan.kind === 'conflict' && plan.mayRegister)) return html``
  const suggestion = plan.kind === 'choose' ? plan.suggestion : ''
  const mayChoose = provider.config.choose_name
  const attributes = {
    name: 'name',
    value: attempt.name ?? suggestion,
    autocomplete: 'username',
    autocapitalize: 'none',
    spellcheck: 'false',
    required: true,
  }
  const name = mayChoose
    ? field(texts.name, attributes, { hint: texts.nameHint(app.serverName) })
    : html`<p>${texts.fixedName(`@${suggestion}:${app.serverName}`)}</p>`
  const heading = plan.kind === 'choose' ? html`` : html`<h2>${texts.orNew}</h2>`
  const fields = [name, termsFields(app.config, visit)]
  return html`${heading}${form(visit, { fields, submit: texts.register, what: 'register' })}`
}
