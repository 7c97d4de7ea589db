import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import { parseEmailAddress } from '../../../core/text/email-address.ts'
import { html } from '../../../core/text/html.ts'
import { accountUrl } from '../../../services/users/account-management.ts'
import { requestEmailProof } from '../../../services/users/email-proof.ts'
import { requestPhoneProof, submitPhoneCode } from '../../../services/users/phone-proof.ts'
import type { SessionPurpose } from '../../../services/users/uia-fallback.ts'
import { type AuthData, proofPurposeOf, type UiaStageType } from '../../../services/users/uia-stages.ts'
import { networkOf } from '../../http/network-of.ts'
import { captchaFields, captchaSolution } from '../captcha.ts'
import { type Form, field } from '../form.ts'
import type { Visit } from '../page.ts'
import { termsList } from '../terms.ts'

/** A stage whose page is a form. */
export type FormStage = Exclude<UiaStageType, 'm.login.sso'>

/** The content of a stage's page: a form, and the origins of its scripts. */
export type StageForm = Pick<Form, 'fields' | 'submit'> & { foreign?: readonly string[] }

type StageVisit = Pick<Visit, 'texts' | 'language' | 'form' | 'browser'>

/** The web form of an authentication stage. */
export type FallbackForm = {
  show(app: App, visit: StageVisit): StageForm
  /** Converts the submitted fields into the auth data that a client would send, or shows the next form. */
  read(
    app: App,
    visit: StageVisit,
    purpose: SessionPurpose,
  ): Promise<{ auth: AuthData } | { next: StageForm }> | { auth: AuthData }
}

const MAX_FIELD = 1024
const SECRET_LENGTH = 32

const CAPTCHA: FallbackForm = {
  show: ({ config }, { texts }) => ({ ...captchaFields(config, texts), submit: texts.fallback.goOn }),
  read: ({ config }, { form }) => ({ auth: { response: captchaSolution(config, form) } }),
}

const ACCOUNT_PAGE: FallbackForm = {
  show(app, { texts }) {
    const { permit, yourAccountPage, thenReturn, permitted } = texts.fallback
    const url = accountUrl(app, 'org.matrix.cross_signing_reset')
    const link = html`<a href="${url}" target="_blank" rel="noopener">${yourAccountPage}</a>`
    return { fields: html`<p>${permit} ${link}${thenReturn}</p>`, submit: permitted }
  },
  read: () => ({ auth: {} }),
}

/** The form of each stage: https://spec.matrix.org/v1.19/client-server-api/#fallback */
export const FALLBACK_FORMS: Record<FormStage, FallbackForm> = {
  'm.login.dummy': {
    show: (_app, { texts }) => ({ fields: html``, submit: texts.fallback.goOn }),
    read: () => ({ auth: {} }),
  },
  'm.login.password': {
    show: (_app, { texts: { fallback } }) => ({
      fields: field(fallback.password, {
        name: 'password',
        type: 'password',
        autocomplete: 'current-password',
        required: true,
        autofocus: true,
      }),
      submit: fallback.confirm,
    }),
    read: (_app, { form }) => ({ auth: { password: enteredIn(form, 'password') } }),
  },
  'm.login.registration_token': {
    show: (_app, { texts: { fallback } }) => ({
      fields: field(fallback.token, { name: 'token', autocomplete: 'off', required: true, autofocus: true }),
      submit: fallback.goOn,
    }),
    read: (_app, { form }) => ({ auth: { token: enteredIn(form, 'token') } }),
  },
  'm.login.terms': {
    show: ({ config }, { texts: { fallback }, language }) => ({
      fields: html`<p>${fallback.terms}</p>${termsList(config, language)}`,
      submit: fallback.accept,
    }),
    read: () => ({ auth: {} }),
  },
  'm.login.email.identity': {
    show: (_app, { texts: { fallback } }) => ({
      fields: field(fallback.email, {
        name: 'email',
        inputmode: 'email',
        autocomplete: 'email',
        required: true,
        autofocus: true,
      }),
      submit: fallback.sendLink,
    }),
    read: readEmail,
  },
  'm.login.msisdn': {
    show: (_app, { texts: { fallback } }) => ({
      fields: field(
        fallback.phone,
        { name: 'phone', type: 'tel', autocomplete: 'tel', required: true, autofocus: true },
        { hint: fallback.phoneHint },
      ),
      submit: fallback.sendCode,
    }),
    read: readPhone,
  },
  'm.login.recaptcha': CAPTCHA,
  'hearth.captcha': CAPTCHA,
  'm.oauth': ACCOUNT_PAGE,
  'org.matrix.cross_signing_reset': ACCOUNT_PAGE,
}

/** Reads the address, to which a link is mailed; then the confirmation that the link was opened. */
async function readEmail(
  app: App,
  visit: StageVisit,
  purpose: SessionPurpose,
): Promise<{ auth: AuthData } | { next: StageForm }> {
  const { form, texts, language } = visit
  if (form.has('sid'))
    return {
      auth: { threepid_creds: { sid: enteredIn(form, 'sid'), client_secret: enteredIn(form, 'client_secret') } },
    }
  const address = parseEmailAddress(enteredIn(form, 'email'))
  if (address === undefined) throw new InvalidParamError(texts.fallback.noAddress)
  const clientSecret = app.random.token(SECRET_LENGTH)
  const sid = await requestEmailProof(app, {
    purpose: proofPurposeOf(purpose.operation),
    address,
    clientSecret,
    sendAttempt: 1,
    nextLink: undefined,
    language,
  })
  return { next: afterMail(visit, { sid, clientSecret, isFirst: true }) }
}

/** Reads the number, to which a code is sent; then the code. */
async function readPhone(
  app: App,
  visit: StageVisit,
  purpose: SessionPurpose,
): Promise<{ auth: AuthData } | { next: StageForm }> {
  const { form, texts, language, browser } = visit
  if (form.has('sid')) {
    const credentials = { sid: enteredIn(form, 'sid'), client_secret: enteredIn(form, 'client_secret') }
    if (!(await submitPhoneCode(app, credentials, enteredIn(form, 'code'))))
      throw new InvalidParamError(texts.fallback.wrongCode)
    return { auth: { threepid_creds: credentials } }
  }
  const clientSecret = app.random.token(SECRET_LENGTH)
  const { sid } = await requestPhoneProof(app, {
    purpose: proofPurposeOf(purpose.operation),
    number: enteredIn(form, 'phone'),
    country: undefined,
    clientSecret,
    sendAttempt: 1,
    network: networkOf(browser.ip),
    language,
  })
  return { next: afterText(visit, { sid, clientSecret }) }
}

/** The form after a text message was sent. */
function afterText(
  { texts: { fallback } }: Pick<StageVisit, 'texts'>,
  { sid, clientSecret }: { sid: string; clientSecret: string },
): StageForm {
  const code = { name: 'code', inputmode: 'numeric', autocomplete: 'one-time-code', required: true, autofocus: true }
  return {
    fields: html`${field(fallback.code, code, { hint: fallback.codeHint })}
<input type="hidden" name="sid" value="${sid}"><input type="hidden" name="client_secret" value="${clientSecret}">`,
    submit: fallback.goOn,
  }
}

/** Returns the second form of a stage that sends something, with the fields of the first. */
export function secondForm(
  type: UiaStageType,
  visit: Pick<StageVisit, 'texts'>,
  kept: { sid: string; clientSecret: string },
): StageForm {
  return type === 'm.login.msisdn' ? afterText(visit, kept) : afterMail(visit, { ...kept, isFirst: false })
}

/** The form after a mail was sent. */
function afterMail(
  { texts: { fallback } }: Pick<StageVisit, 'texts'>,
  { sid, clientSecret, isFirst }: { sid: string; clientSecret: string; isFirst: boolean },
): StageForm {
  return {
    fields: html`${isFirst ? html`<p>${fallback.mailSent}</p>` : ''}
<input type="hidden" name="sid" value="${sid}"><input type="hidden" name="client_secret" value="${clientSecret}">`,
    submit: fallback.linkOpened,
  }
}

function enteredIn(form: URLSearchParams, name: string): string {
  const value = form.get(name) ?? ''
  if (value.length > MAX_FIELD) throw new InvalidParamError(`${name}: is too long`)
  return value
}
