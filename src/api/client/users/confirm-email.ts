import { z } from 'zod'
import { html } from '../../../core/text/html.ts'
import { CONFIRM_PATH, confirmEmail, findEmailProof } from '../../../services/users/email-proof.ts'
import { proofPageTexts } from '../../../services/users/mail/email-proof-texts.ts'
import { asPage } from '../../http/html-page.ts'
import { route } from '../../http/route.ts'

const path = `${CONFIRM_PATH}/:sessionId/:token`
const params = z.object({ sessionId: z.string(), token: z.string() })

/**
 * The link in mails that verify an address. The page needs one more click: programs that scan links must not confirm
 * anything.
 */
export const getConfirmEmail = route({
  method: 'GET',
  path,
  auth: 'none',
  rateLimit: 'login',
  params,
  handle: (call, app) =>
    asPage(async () => {
      const { address, purpose, userId } = await findEmailProof(app, call.params)
      const { title, effect, button } = proofPageTexts(purpose, { serverName: app.serverName, userId })
      const body = html`<p><b>${address}</b> ${effect} Was that you?</p>
<form method="post"><button>${button}</button></form>
<p>If not, close this page.</p>`
      return { title, body }
    }),
})

/** Handles the button of that page. */
export const postConfirmEmail = route({
  method: 'POST',
  path,
  auth: 'none',
  rateLimit: 'login',
  params,
  handle: (call, app) =>
    asPage(async () => {
      const { next_link: next, purpose, userId } = await confirmEmail(app, call.params)
      // No redirect: the requester of the mail chose the target, and a redirect would seem to come from this server.
      const on = next === null ? '' : html`<p><a href="${next}">Continue to ${new URL(next).host}</a></p>`
      return {
        title: 'Your address is confirmed',
        body: html`<p>${proofPageTexts(purpose, { serverName: app.serverName, userId }).done}</p>${on}`,
      }
    }),
})
