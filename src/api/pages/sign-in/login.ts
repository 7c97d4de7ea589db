import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { parseEmailAddress } from '../../../core/text/email-address.ts'
import { html } from '../../../core/text/html.ts'
import { type StepTaken, signInWithPassword } from '../../../services/sign-in/sign-in-steps.ts'
import { NoAccountError } from '../../../services/users/directory-accounts.ts'
import type { AccountIdentifier } from '../../../services/users/find-account.ts'
import { alert, field, form } from '../form.ts'
import { type Page, serviceName } from '../layout.ts'
import { ownPath, withContinue } from '../own-path.ts'
import { errorText, page, type Redirect, redirectTo, type Visit } from '../page.ts'

const query = z.object({ continue: z.string().optional(), login_hint: z.string().max(255).optional() })

type LoginVisit = Visit<undefined, z.output<typeof query>>

/** Where a sign-in leads if nothing else was wanted. */
const START = '/account'

/** Signs in. Whoever is signed in already and gets here has to prove again who they are. */
export const getLoginPage = page({
  method: 'GET',
  path: '/login',
  query,
  handle: (visit, app) => loginPage(app, visit, {}),
})

export const postLoginPage = page({
  method: 'POST',
  path: '/login',
  rateLimit: 'login',
  query,
  async handle(visit, app) {
    const user = visit.form.get('user') ?? ''
    const password = visit.form.get('password') ?? ''
    const { texts } = visit
    if (user === '' || password === '') return loginPage(app, visit, { user, alert: texts.signIn.empty, status: 400 })
    try {
      const taken = await signInWithPassword(app, visit.browser, { identifier: identifierOf(user), password })
      return afterStep(taken, ownPath(visit.query.continue))
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      const isWrong = error.errcode === 'M_FORBIDDEN'
      const wrong = error instanceof NoAccountError ? texts.signIn.noAccount : texts.signIn.wrong
      const text = isWrong ? wrong : errorText(texts, error.toJSON())
      return loginPage(app, visit, { user, alert: text, status: isWrong ? 403 : error.status })
    }
  },
})

/** Leads on after a step of a sign-in: to the second, or to what the sign-in was for. */
function afterStep({ next, cookie }: StepTaken, on: string | undefined): Redirect {
  if (next === 'second factor') return redirectTo(withContinue('/login/second-factor', on), cookie)
  return redirectTo(on ?? START, cookie)
}

/** A name with an @ inside is an e-mail address, unless it is a user id. */
function identifierOf(user: string): AccountIdentifier {
  const address = user.startsWith('@') ? undefined : parseEmailAddress(user)
  return address === undefined ? { user: user.trim() } : { medium: 'email', address }
}

type Attempt = { user?: string; alert?: string; status?: number }

function loginPage(app: App, visit: LoginVisit, attempt: Attempt): Page {
  const { session, texts, query } = visit
  const isAgain = session !== undefined && query.login_hint === undefined
  const user = attempt.user ?? session?.userId ?? hintOf(query.login_hint)
  const fields = [
    field(texts.signIn.user, {
      name: 'user',
      value: user,
      autocomplete: 'username',
      autocapitalize: 'none',
      spellcheck: 'false',
      required: true,
      autofocus: user === '',
    }),
    field(texts.signIn.password, {
      name: 'password',
      type: 'password',
      autocomplete: 'current-password',
      required: true,
      autofocus: user !== '',
    }),
  ]
  const body = html`${isAgain ? html`<p>${texts.signIn.confirmHint(session.userId)}</p>` : ''}
${alert(attempt.alert)}
${form(visit, { fields, submit: texts.signIn.submit })}`
  const title = isAgain ? texts.signIn.confirmTitle : texts.signIn.title(serviceName(app))
  return { title, body, ...(attempt.status !== undefined && { status: attempt.status }) }
}

/** Clients send `mxid:@alice:example.org`, or a name. */
function hintOf(hint = ''): string {
  return hint.replace(/^mxid:/, '')
}
