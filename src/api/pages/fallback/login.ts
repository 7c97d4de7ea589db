import { html } from '../../../core/text/html.ts'
import { field } from '../form.ts'
import { page } from '../page.ts'

/** Sends the form to `/login`, together with the parameters of the page's address, and passes on the response. */
const SCRIPT = `const form = document.forms[0], alert = document.querySelector('[role=alert]')
const status = document.querySelector('[role=status]')
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  alert.hidden = true
  const given = Object.fromEntries(new URLSearchParams(location.search))
  for (const name of ['access_token', 'type', 'identifier', 'user', 'password', 'token']) delete given[name]
  if (given.refresh_token !== undefined) given.refresh_token = given.refresh_token === 'true'
  try {
    const response = await fetch('/_matrix/client/v3/login', {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({
        ...given,
        type: 'm.login.password',
        identifier: { type: 'm.id.user', user: form.elements.user.value },
        password: form.elements.password.value,
      }),
    })
    const answer = await response.json()
    if (!response.ok) throw new Error(answer.error)
    form.hidden = true
    status.hidden = false
    if (window.matrixLogin && window.matrixLogin.onLogin) window.matrixLogin.onLogin(answer)
  } catch (error) {
    alert.textContent = error.message
    alert.hidden = false
  }
})`

/** https://spec.matrix.org/v1.19/client-server-api/#login-fallback */
export const getLoginFallback = page({
  method: 'GET',
  path: '/_matrix/static/client/login/',
  cookieless: true,
  handle({ texts }, app) {
    const { user, password, submit, title } = texts.signIn
    const body = html`<p role="alert" hidden></p><p role="status" hidden>${texts.fallback.signedIn}</p><form>
${field(user, { name: 'user', autocomplete: 'username', autocapitalize: 'none', required: true, autofocus: true })}
${field(password, { name: 'password', type: 'password', autocomplete: 'current-password', required: true })}
<button>${submit}</button></form>
<noscript><p>${texts.fallback.needsScript}</p></noscript>`
    return { title: title(app.serverName), body, script: SCRIPT, connects: true }
  },
})
