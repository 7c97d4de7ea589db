import { z } from 'zod'
import type { App } from '../../../app.ts'
import { InvalidParamError, MatrixError } from '../../../core/errors.ts'
import { type EmailAddress, parseEmailAddress } from '../../../core/text/email-address.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { registerInBrowser } from '../../../services/sign-in/register-in-browser.ts'
import { PhoneRefusedError } from '../../../services/users/phone-proof.ts'
import { networkOf } from '../../http/network-of.ts'
import { captchaFields, captchaSolution } from '../captcha.ts'
import { alert, field, form } from '../form.ts'
import { type Page, serviceName } from '../layout.ts'
import { ownPath, REGISTER_PATH, withContinue } from '../own-path.ts'
import { errorText, page, type Redirect, redirectTo, type Visit } from '../page.ts'
import { afterStep } from '../sign-in/after-step.ts'
import { registrationProviders } from '../sign-in/ways.ts'
import { termsFields } from '../terms.ts'
import type { Texts } from '../texts/en.ts'

const query = z.object({ continue: z.string().optional(), token: z.string().max(255).optional() })

type RegisterVisit = Visit<undefined, z.output<typeof query>>
type FieldName = 'user' | 'password' | 'token' | 'email' | 'phone' | 'accept'
/** The error of a form; `name`: its field. */
type Refusal = { text: string; status: number; name?: FieldName | undefined }

export const getRegisterPage = page({
  method: 'GET',
  path: REGISTER_PATH,
  query,
  handle: (visit, app) => (app.config.registration.enabled ? registerPage(app, visit) : closedPage(app, visit)),
})

export const postRegisterPage = page({
  method: 'POST',
  path: REGISTER_PATH,
  rateLimit: 'registration',
  query,
  async handle(visit, app) {
    if (!app.config.registration.enabled) return closedPage(app, visit)
    try {
      return await register(app, visit)
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      return registerPage(app, visit, refusalOf(visit.texts, error))
    }
  },
})

/** Returns the page on which a registration waits for the mailed link or a code. */
export function mailedPath(sessionId: string, on: string | undefined): string {
  return withContinue(`${REGISTER_PATH}/confirm?session=${encodeURIComponent(sessionId)}`, on)
}

async function register(app: App, visit: RegisterVisit): Promise<Redirect> {
  const { form: filled, language, browser } = visit
  const on = ownPath(visit.query.continue)
  const entered = {
    username: (filled.get('user') ?? '').trim(),
    password: filled.get('password') ?? '',
    email: emailOf(app, visit),
    phone: app.config.registration.requires_phone ? (filled.get('phone') ?? '') : undefined,
    token: filled.get('token') ?? '',
    acceptsTerms: filled.has('accept'),
    captcha: captchaSolution(app.config, filled),
    language,
  }
  const nextPage = (sessionId: string) => mailedPath(sessionId, on)
  const registered = await registerInBrowser(app, browser, { entered, nextPage, network: networkOf(browser.ip) })
  return 'waitsIn' in registered ? redirectTo(nextPage(registered.waitsIn)) : afterStep(registered, on)
}

class NoAddressError extends InvalidParamError {}

function emailOf({ config, mailer }: App, { form: filled, texts }: RegisterVisit): EmailAddress | undefined {
  const text = (filled.get('email') ?? '').trim()
  if (!mailer || (text === '' && !config.registration.requires_email)) return undefined
  const address = parseEmailAddress(text)
  if (address === undefined) throw new NoAddressError(texts.fallback.noAddress)
  return address
}

const FIELDS: Readonly<Record<string, FieldName>> = {
  M_USER_IN_USE: 'user',
  M_INVALID_USERNAME: 'user',
  M_EXCLUSIVE: 'user',
  M_WEAK_PASSWORD: 'password',
  M_INVALID_PARAM: 'password',
  M_UNAUTHORIZED: 'token',
  M_THREEPID_DENIED: 'email',
  M_TERMS_NOT_SIGNED: 'accept',
}

function fieldOf(error: MatrixError): FieldName | undefined {
  if (error instanceof PhoneRefusedError) return 'phone'
  return error instanceof NoAddressError ? 'email' : FIELDS[error.errcode]
}

function refusalOf(texts: Texts, error: MatrixError): Refusal {
  const name = fieldOf(error)
  const own: Partial<Record<FieldName, string>> = {
    token: texts.register.tokenWrong,
    accept: texts.register.acceptFirst,
  }
  const text = (name && own[name]) ?? errorText(texts, error.toJSON())
  return { text, status: error.status === 401 ? 403 : error.status, name }
}

function registerPage(app: App, visit: RegisterVisit, refusal?: Refusal): Page {
  const { texts } = visit
  const captcha = captchaFields(app.config, texts)
  const fields = [
    ...accountFields(app, visit, refusal),
    termsFields(app.config, visit),
    html`${captcha.fields as Html}`,
  ]
  const body = html`${alert(refusal?.text)}
${form(visit, { fields, submit: texts.register.submit })}
${registrationProviders(app, texts, ownPath(visit.query.continue))}
${signInLink(visit)}`
  return {
    title: texts.register.title(serviceName(app)),
    body,
    foreign: captcha.foreign,
    ...(refusal && { status: refusal.status }),
  }
}

function accountFields(app: App, visit: RegisterVisit, refusal: Refusal | undefined): Html[] {
  const { texts, form: filled, query } = visit
  const { registration, passwords } = app.config
  const text = texts.register
  const help = (name: FieldName, hint: string) => ({ hint, error: refusal?.name === name ? refusal.text : undefined })
  const user = field(
    text.user,
    {
      name: 'user',
      value: filled.get('user') ?? '',
      autocomplete: 'username',
      autocapitalize: 'none',
      spellcheck: 'false',
      maxlength: 255,
      required: true,
      autofocus: true,
    },
    help('user', text.userHint(app.serverName)),
  )
  const password = field(
    text.password,
    {
      name: 'password',
      type: 'password',
      autocomplete: 'new-password',
      minlength: passwords.minimum_length,
      required: true,
    },
    help('password', text.passwordHint(passwords.minimum_length)),
  )
  const token = field(
    text.token,
    { name: 'token', value: filled.get('token') ?? query.token ?? '', autocomplete: 'off', required: true },
    help('token', text.tokenHint),
  )
  const email = field(
    registration.requires_email ? text.email : text.emailOptional,
    {
      name: 'email',
      value: filled.get('email') ?? '',
      inputmode: 'email',
      autocomplete: 'email',
      required: registration.requires_email,
    },
    help('email', text.emailHint),
  )
  const phone = field(
    text.phone,
    { name: 'phone', value: filled.get('phone') ?? '', type: 'tel', autocomplete: 'tel', required: true },
    help('phone', texts.fallback.phoneHint),
  )
  return [
    ...[user, password],
    ...(registration.requires_token ? [token] : []),
    ...(app.mailer ? [email] : []),
    ...(registration.requires_phone ? [phone] : []),
  ]
}

function closedPage(app: App, visit: RegisterVisit): Page {
  const { register } = visit.texts
  const providers = registrationProviders(app, visit.texts, ownPath(visit.query.continue))
  const body = html`<p>${register.closed}</p>${providers}${signInLink(visit)}`
  return { title: register.title(serviceName(app)), body, status: 403 }
}

function signInLink({ texts, query }: RegisterVisit): Html {
  return html`<p><a href="${withContinue('/login', ownPath(query.continue))}">${texts.register.haveAccount}</a></p>`
}
