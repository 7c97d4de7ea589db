import type { App } from '../../../app.ts'
import { InvalidParamError } from '../../../core/errors.ts'
import { parseEmailAddress } from '../../../core/text/email-address.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { requestEmailProof } from '../../../services/users/email-proof.ts'
import type { SessionPurpose } from '../../../services/users/uia-fallback.ts'
import { type AuthData, emailPurposeOf, type UiaStageType } from '../../../services/users/uia-stages.ts'

/** How a web page asks for what a stage needs. */
export type FallbackForm = {
  /** The fields of its form, with the button. */
  fields(app: App): Html
  /** What was filled in, as a client would send it; HTML instead: the form that comes next. */
  read(app: App, filled: URLSearchParams, purpose: SessionPurpose): Promise<AuthData | Html> | AuthData
}

const MAX_FIELD = 1024
const SECRET_LENGTH = 32

/** A page for each stage: https://spec.matrix.org/v1.19/client-server-api/#fallback */
export const FALLBACK_FORMS: Record<UiaStageType, FallbackForm> = {
  'm.login.dummy': { fields: () => html`<button>Go on</button>`, read: () => ({}) },
  'm.login.password': {
    fields: () => html`<p><label>Your password
<input type="password" name="password" autocomplete="current-password" required autofocus></label></p>
<button>Confirm</button>`,
    read: (_app, filled) => ({ password: field(filled, 'password') }),
  },
  'm.login.registration_token': {
    fields: () => html`<p><label>The registration token that you were given
<input type="text" name="token" autocomplete="off" required autofocus></label></p>
<button>Go on</button>`,
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
}

/** First the address, to which a link goes; then that the link was followed. */
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
  return html`<p>A mail is on its way to you. Follow the link in it, then come back here.</p>
<input type="hidden" name="sid" value="${sid}"><input type="hidden" name="client_secret" value="${clientSecret}">
<button>I have followed the link</button>`
}

function field(filled: URLSearchParams, name: string): string {
  const value = filled.get(name) ?? ''
  if (value.length > MAX_FIELD) throw new InvalidParamError(`${name}: is too long`)
  return value
}
