import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import { parseEmailAddress } from '../../../core/text/email-address.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { accountUrl } from '../../../services/users/account-management.ts'
import { requestEmailProof } from '../../../services/users/email-proof.ts'
import type { SessionPurpose } from '../../../services/users/uia-fallback.ts'
import { type AuthData, emailPurposeOf, type UiaStageType } from '../../../services/users/uia-stages.ts'

/** The web form of an authentication stage. */
export type FallbackForm = {
  /** Renders the fields of the form, with its button. */
  fields(app: App): Html
  /** Converts the submitted fields into the auth data that a client would send. HTML instead is the next form. */
  read(app: App, filled: URLSearchParams, purpose: SessionPurpose): Promise<AuthData | Html> | AuthData
}

const MAX_FIELD = 1024
const SECRET_LENGTH = 32

/** The form of each stage: https://spec.matrix.org/v1.19/client-server-api/#fallback */
export const FALLBACK_FORMS: Record<UiaStageType, FallbackForm> = {
  'm.login.dummy': { fields: () => html`<button>Continue</button>`, read: () => ({}) },
  'm.login.password': {
    fields: () => html`<p><label>Your password
<input type="password" name="password" autocomplete="current-password" required autofocus></label></p>
<button>Confirm</button>`,
    read: (_app, filled) => ({ password: field(filled, 'password') }),
  },
  'm.login.registration_token': {
    fields: () => html`<p><label>Your registration token
<input type="text" name="token" autocomplete="off" required autofocus></label></p>
<button>Continue</button>`,
    read: (_app, filled) => ({ token: field(filled, 'token') }),
  },
  'm.login.terms': {
    fields: ({ config }) => {
      const items = config.registration.terms.map(
        ({ name, url, language }) =>
          html`<li><a href="${url}" hreflang="${language}" target="_blank" rel="noopener">${name}</a></li>`,
      )
      return html`<p>To have an account here you need to accept:</p><ul>${items}</ul><button>I accept</button>`
    },
    read: () => ({}),
  },
  'm.login.email.identity': {
    fields: () => html`<p><label>Your e-mail address
<input type="text" inputmode="email" name="email" autocomplete="email" required autofocus></label></p>
<button>Send me a link</button>`,
    read: readEmail,
  },
  'm.oauth': { fields: accountPageFields, read: () => ({}) },
  'org.matrix.cross_signing_reset': { fields: accountPageFields, read: () => ({}) },
}

function accountPageFields(app: App): Html {
  const url = accountUrl(app, 'org.matrix.cross_signing_reset')
  return html`<p>Permit this on <a href="${url}" target="_blank" rel="noopener">your account page</a>, then return here.</p>
<button>I have permitted it</button>`
}

/** Reads the address, to which a link is mailed; then the confirmation that the link was opened. */
async function readEmail(app: App, filled: URLSearchParams, purpose: SessionPurpose): Promise<AuthData | Html> {
  if (filled.has('sid'))
    return { threepid_creds: { sid: field(filled, 'sid'), client_secret: field(filled, 'client_secret') } }
  const address = parseEmailAddress(field(filled, 'email'))
  if (address === undefined) throw new InvalidParamError('This is not an e-mail address')
  const clientSecret = app.random.token(SECRET_LENGTH)
  const sid = await requestEmailProof(app, {
    purpose: emailPurposeOf(purpose.operation),
    address,
    clientSecret,
    sendAttempt: 1,
    nextLink: undefined,
  })
  return afterMail(sid, clientSecret)
}

function afterMail(sid: string, clientSecret: string): Html {
  return html`<p>A mail was sent to you. Open the link in it, then return to this page.</p>
<input type="hidden" name="sid" value="${sid}"><input type="hidden" name="client_secret" value="${clientSecret}">
<button>I have opened the link</button>`
}

function field(filled: URLSearchParams, name: string): string {
  const value = filled.get(name) ?? ''
  if (value.length > MAX_FIELD) throw new InvalidParamError(`${name}: is too long`)
  return value
}
