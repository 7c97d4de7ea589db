import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import { parseEmailAddress } from '../../../core/text/email-address.ts'
import { html } from '../../../core/text/html.ts'
import { accountUrl } from '../../../services/users/account-management.ts'
import { requestEmailProof } from '../../../services/users/email-proof.ts'
import type { SessionPurpose } from '../../../services/users/uia-fallback.ts'
import { type AuthData, emailPurposeOf, type UiaStageType } from '../../../services/users/uia-stages.ts'
import { captchaFields, captchaSolution } from '../captcha.ts'
import { type Form, field } from '../form.ts'
import type { Visit } from '../page.ts'
import { termsList } from '../terms.ts'

/** A stage whose page is a form. */
export type FormStage = Exclude<UiaStageType, 'm.login.sso'>

/** What the page of a stage shows: a form, and where its scripts come from. */
export type StageForm = Pick<Form, 'fields' | 'submit'> & { foreign?: readonly string[] }

type StageVisit = Pick<Visit, 'texts' | 'language' | 'form'>

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
    purpose: emailPurposeOf(purpose.operation),
    address,
    clientSecret,
    sendAttempt: 1,
    nextLink: undefined,
    language,
  })
  return { next: afterMail(visit, { sid, clientSecret, isFirst: true }) }
}

/** The form after a mail was sent. */
export function afterMail(
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
