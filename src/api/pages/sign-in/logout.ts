import { html } from '../../../core/text/html.ts'
import { endWebSession, newCookie } from '../../../services/sign-in/web-sessions.ts'
import { form } from '../form.ts'
import { page, redirectTo } from '../page.ts'

/** Signs out of this browser; clients stay signed in. */
export const getLogoutPage = page({
  method: 'GET',
  path: '/logout',
  handle(visit) {
    const { signOut } = visit.texts
    const session = visit.session ?? visit.restricted
    if (session) {
      const body = html`<p>${signOut.hint(session.userId)}</p>
${form(visit, { fields: [], submit: signOut.submit })}`
      return { title: signOut.title, body }
    }
    return { title: signOut.done, body: html`<p>${signOut.doneHint}</p><p><a href="/login">${signOut.again}</a></p>` }
  },
})

export const postLogoutPage = page({
  method: 'POST',
  path: '/logout',
  async handle(visit, app) {
    await endWebSession(app, visit.browser)
    return redirectTo('/logout', newCookie(app))
  },
})
