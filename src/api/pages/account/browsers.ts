import { z } from 'zod'
import { html } from '../../../core/text/html.ts'
import {
  listBrowsers,
  type SignedInBrowser,
  signOutBrowser,
  signOutOtherBrowsers,
} from '../../../services/sign-in/signed-in-browsers.ts'
import { form, notice } from '../form.ts'
import { accountPage, redirectTo } from '../page.ts'
import { type AccountVisit, accountSubpage, messageOf, seenText } from './account-page.ts'

const PATH = '/account/browsers'

export const getBrowsersPage = accountPage({
  method: 'GET',
  path: PATH,
  needs: 'signed in',
  query: z.object({ done: z.string().optional() }),
  async handle(visit, app) {
    const { session, texts, browser } = visit
    const { title, explanation, signOutOthers, done } = texts.browsers
    const browsers = await listBrowsers(app, session.userId, browser)
    const others = browsers.some(({ isThis }) => !isThis)
      ? form(visit, { what: 'others', fields: [], submit: signOutOthers, look: 'outline danger' })
      : html``
    const body = html`${notice(messageOf(visit.query.done, { 'signed-out': done }))}
<p>${explanation}</p>
<ul class="entries">${browsers.map((each) => entryOf(visit, each))}</ul>
${others}`
    return accountSubpage(visit, { title, body })
  },
})

export const postBrowsersPage = accountPage({
  method: 'POST',
  path: PATH,
  needs: 'signed in',
  async handle({ session: { userId }, form: filled, browser }, app) {
    if (filled.get('do') === 'others') await signOutOtherBrowsers(app, userId, browser)
    else await signOutBrowser(app, userId, filled.get('browser') ?? '')
    return redirectTo(`${PATH}?done=signed-out`)
  },
})

function entryOf(visit: AccountVisit, { id, isThis, lastSeenTs, lastSeenIp, userAgent }: SignedInBrowser) {
  const { browsers } = visit.texts
  const choice = html`<input type="hidden" name="browser" value="${id}">`
  const name = userAgent ?? browsers.unknown
  const seen = seenText(visit, { at: lastSeenTs, address: lastSeenIp })
  const label = browsers.signOutThis(name, seen)
  const end = isThis
    ? html`<strong>${browsers.this}</strong>`
    : form(visit, { what: 'one', fields: choice, submit: browsers.signOut, label, look: 'outline secondary' })
  return html`<li><div><span class="text">${name}</span>
<small>${seen}</small></div>${end}</li>`
}
