import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { parseEmailAddress } from '../../../core/text/email-address.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { passkeyUseOptions } from '../../../services/sign-in/passkeys.ts'
import { signInWithPasskey } from '../../../services/sign-in/second-step.ts'
import { signInWithPassword } from '../../../services/sign-in/sign-in-steps.ts'
import { NoAccountError } from '../../../services/users/directory-accounts.ts'
import type { AccountIdentifier } from '../../../services/users/find-account.ts'
import { alert, field, form } from '../form.ts'
import { type Page, serviceName } from '../layout.ts'
import { FORGOTTEN_PATH, ownPath, REGISTER_PATH, withContinue } from '../own-path.ts'
import { errorText, page, type Visit } from '../page.ts'
import { PASSKEY_SCRIPT, passkeyForm } from '../passkey-form.ts'
import { afterStep } from './after-step.ts'
import { leadToProvider, waysToSignIn } from './ways.ts'

const query = z.object({
  continue: z.string().optional(),
  login_hint: z.string().max(255).optional(),
  // Shows every way to sign in, even if the configuration leads to a single provider at once.
  choose: z.string().optional(),
})

type LoginVisit = Visit<undefined, z.output<typeof query>>

/** Signs in. A user who is signed in already has to authenticate again. */
export const getLoginPage = page({
  method: 'GET',
  path: '/login',
  query,
  handle: (visit, app) => leadToProvider(app, visit) ?? loginPage(app, visit, {}),
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
    const passkey = visit.form.get('do') === 'passkey' ? (visit.form.get('credential') ?? '') : undefined
    if (passkey === undefined && (user === '' || password === ''))
      return loginPage(app, visit, { user, alert: texts.signIn.empty, status: 400 })
    try {
      const taken = await (passkey === undefined
        ? signInWithPassword(app, visit.browser, { identifier: identifierOf(user), password })
        : signInWithPasskey(app, visit.browser, passkey))
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

/** A name with an @ inside is an e-mail address, unless it is a user id. */
function identifierOf(user: string): AccountIdentifier {
  const address = user.startsWith('@') ? undefined : parseEmailAddress(user)
  return address === undefined ? { user: user.trim() } : { medium: 'email', address }
}

type Attempt = { user?: string; alert?: string; status?: number }

async function loginPage(app: App, visit: LoginVisit, attempt: Attempt): Promise<Page> {
  const { session, texts, query } = visit
  const isAgain = session !== undefined && query.login_hint === undefined
  const user = attempt.user ?? (isAgain ? session.userId : hintOf(query.login_hint))
  const passkey = await passkeyWay(app, visit)
  const fields = [
    field(texts.signIn.user, {
      name: 'user',
      value: user,
      autocomplete: passkey ? 'username webauthn' : 'username',
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
  const passwordForm = form(visit, { fields, submit: texts.signIn.submit })
  const body = html`${isAgain ? html`<p>${texts.signIn.confirmHint(session.userId)}</p>` : ''}
${alert(attempt.alert)}
${waysToSignIn(app, visit, { passwordForm, isOpen: attempt.alert !== undefined })}
${passkey ?? ''}
${otherWays(app, visit)}`
  const title = isAgain ? texts.signIn.confirmTitle : texts.signIn.title(serviceName(app))
  return {
    title,
    body,
    ...(passkey && { script: PASSKEY_SCRIPT }),
    ...(attempt.status !== undefined && { status: attempt.status }),
  }
}

/** Links for users without an account, or without their password. */
function otherWays({ config, mailer }: App, { texts: { signIn }, query }: LoginVisit): Html {
  const on = ownPath(query.continue)
  const forgotten = html`<p><a href="${withContinue(FORGOTTEN_PATH, on)}">${signIn.forgotten}</a></p>`
  const register = html`<p><a href="${withContinue(REGISTER_PATH, on)}">${signIn.register}</a></p>`
  return html`${mailer && config.sign_in.passwords !== 'disabled' ? forgotten : ''}${config.registration.enabled ? register : ''}`
}

/** The form to sign in with a passkey alone, where passkeys are in use. */
async function passkeyWay(app: App, visit: LoginVisit): Promise<Html | undefined> {
  const options = await passkeyUseOptions(app, { cookie: visit.browser.cookie })
  const { texts } = visit
  const words = { submit: texts.signIn.passkey, failed: texts.secondStep.failed }
  return (
    options &&
    passkeyForm(visit, { method: 'get', options, ...words, what: 'passkey', look: 'secondary', offered: true })
  )
}

/** Clients send `mxid:@alice:example.org`, or a name. */
function hintOf(hint = ''): string {
  return hint.replace(/^mxid:/, '')
}
