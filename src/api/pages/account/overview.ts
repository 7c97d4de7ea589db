import { html } from '../../../core/text/html.ts'
import { accountPage } from '../page.ts'

/** The start page of an account. */
export const getAccountPage = accountPage({
  method: 'GET',
  path: '/account',
  needs: 'signed in',
  handle({ session, texts }) {
    const body = html`<p>${texts.account.signedIn(session.userId)}</p>
<p><a href="/account/second-factor">${texts.secondFactor.title}</a></p>
<p><a href="/logout">${texts.layout.signOut}</a></p>`
    return { title: texts.layout.account, body }
  },
})
