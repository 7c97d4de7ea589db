import { z } from 'zod'
import { html } from '../../../core/text/html.ts'
import { findRenewable, RENEWAL_PATH, renewByLink } from '../../../services/users/account-validity.ts'
import { form } from '../form.ts'
import { page } from '../page.ts'

const path = `${RENEWAL_PATH}/:token`
const params = z.object({ token: z.string() })

/** The link in mails about an account that expires. One more click: programs that scan links must not renew it. */
export const getRenewPage = page({
  method: 'GET',
  path,
  rateLimit: 'login',
  params,
  cookieless: true,
  async handle(visit, app) {
    const { userId, validUntil } = await findRenewable(app, visit.params.token)
    const { title, hint, submit } = visit.texts.renew
    const body = html`<p>${hint(userId, dayOf(validUntil))}</p>${form(visit, { fields: html``, submit })}`
    return { title, body }
  },
})

export const postRenewPage = page({
  method: 'POST',
  path,
  rateLimit: 'login',
  params,
  cookieless: true,
  async handle({ params: { token }, texts: { renew } }, app) {
    const until = await renewByLink(app, token)
    return { title: renew.doneTitle, body: html`<p role="status">${renew.done(dayOf(until))}</p>` }
  },
})

function dayOf(ts: number): string {
  return new Date(ts).toISOString().slice(0, 10)
}
