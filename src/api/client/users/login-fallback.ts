import { html } from '../../../core/text/html.ts'
import { asPage } from '../../http/html-page.ts'
import { route } from '../../http/route.ts'

/** Sends the form to `/login`, together with the parameters of the page's address, and passes on the response. */
const SCRIPT = `const form = document.forms[0], alert = document.querySelector('[role=alert]')
form.addEventListener('submit', async (event) => {
  event.preventDefault()
  alert.textContent = ''
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
    document.querySelector('[role=status]').textContent = 'You are signed in. You can go back to your client.'
    if (window.matrixLogin && window.matrixLogin.onLogin) window.matrixLogin.onLogin(answer)
  } catch (error) {
    alert.textContent = error.message
  }
})`

/** https://spec.matrix.org/v1.19/client-server-api/#login-fallback */
export const getLoginFallback = route({
  method: 'GET',
  path: '/_matrix/static/client/login/',
  auth: 'none',
  handle: (_call, app) =>
    asPage(async () => ({
      title: `Sign in to ${app.serverName}`,
      body: html`<p role="alert"></p><p role="status"></p><form>
<p><label>User name <input type="text" name="user" autocomplete="username" required autofocus></label></p>
<p><label>Password <input type="password" name="password" autocomplete="current-password" required></label></p>
<button>Sign in</button></form>
<noscript><p>This page needs JavaScript.</p></noscript>`,
      script: SCRIPT,
      connects: true,
    })),
})
