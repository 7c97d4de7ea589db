import { type Html, html } from '../../core/text/html.ts'
import type { PasskeyOptions } from '../../services/sign-in/passkeys.ts'
import { type Form, form } from './form.ts'
import type { Visit } from './page.ts'

/** A form that is sent with the answer of a passkey in the field `credential`. */
type PasskeyForm = Pick<Form, 'submit' | 'look' | 'what' | 'action'> & {
  /** Whether the browser makes a new passkey, or uses one. */
  method: 'create' | 'get'
  options: PasskeyOptions
  /** Further fields. */
  fields?: Html
  /** The error if the browser gives no answer, for instance because the user cancels. */
  failed: string
  /** Whether browsers may also offer passkeys in the form's page at a field with `autocomplete="webauthn"`. */
  offered?: boolean
  /** The text for browsers without script or passkeys instead of the form; absent: nothing. */
  otherwise?: string
}

/** Renders a form for a passkey. It needs PASSKEY_SCRIPT, and is hidden from browsers without script or passkeys. */
export function passkeyForm(
  visit: Pick<Visit, 'browser'>,
  { method, options, failed, offered = false, otherwise, ...given }: PasskeyForm,
): Html {
  const answer = html`<input type="hidden" name="credential" value="" data-passkey="${method}"
data-options="${JSON.stringify(options)}" data-failed="${failed}"${offered ? html` data-offered` : ''}>`
  const instead = otherwise === undefined ? '' : html`<p data-without-passkeys>${otherwise}</p>\n`
  return html`${instead}<div hidden>${form(visit, { ...given, fields: html`${answer}${given.fields ?? ''}` })}</div>`
}

/**
 * Shows the forms for passkeys, and sends them with the browser's answer. Browsers of 2024 and before do not convert
 * between JSON and bytes.
 */
export const PASSKEY_SCRIPT = `const decode = (text) =>
  Uint8Array.from(atob(text.replaceAll('-', '+').replaceAll('_', '/')), (letter) => letter.charCodeAt(0))
const encode = (bytes) => bytes && btoa(String.fromCharCode(...new Uint8Array(bytes)))
  .replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
const withBytes = (each) => ({ ...each, id: decode(each.id) })
const parse = ({ challenge, user, allowCredentials, excludeCredentials, ...options }) => ({
  ...options,
  challenge: decode(challenge),
  ...(user && { user: withBytes(user) }),
  ...(allowCredentials && { allowCredentials: allowCredentials.map(withBytes) }),
  ...(excludeCredentials && { excludeCredentials: excludeCredentials.map(withBytes) }),
})
const answerOf = ({ id, type, response }) => JSON.stringify({
  id,
  rawId: id,
  type,
  response: {
    clientDataJSON: encode(response.clientDataJSON),
    attestationObject: encode(response.attestationObject),
    transports: response.getTransports && response.getTransports(),
    authenticatorData: encode(response.authenticatorData),
    signature: encode(response.signature),
    userHandle: encode(response.userHandle) || undefined,
  },
})
const ask = (input, more) => navigator.credentials[input.dataset.passkey]({
  publicKey: parse(JSON.parse(input.dataset.options)),
  ...more,
})
const send = (input, credential) => {
  input.value = answerOf(credential)
  input.form.submit()
}
const offer = new AbortController()
const inputs = window.PublicKeyCredential ? document.querySelectorAll('[data-passkey]') : []
if (inputs.length) for (const text of document.querySelectorAll('[data-without-passkeys]')) text.hidden = true
for (const input of inputs) {
  const { form } = input
  form.parentElement.hidden = false
  form.addEventListener('submit', async (event) => {
    event.preventDefault()
    offer.abort()
    for (const old of form.querySelectorAll('[role=alert]')) old.remove()
    const button = form.querySelector('button')
    button.disabled = true
    try {
      send(input, await ask(input))
    } catch {
      const alert = document.createElement('p')
      alert.setAttribute('role', 'alert')
      alert.textContent = input.dataset.failed
      form.prepend(alert)
      button.disabled = false
    }
  })
  const { isConditionalMediationAvailable: canOffer } = PublicKeyCredential
  if ('offered' in input.dataset && canOffer) canOffer.call(PublicKeyCredential)
    .then((can) => can && ask(input, { mediation: 'conditional', signal: offer.signal }))
    .then((credential) => credential && send(input, credential), () => {})
}`
