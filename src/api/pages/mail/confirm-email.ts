import { z } from 'zod'
import { html } from '../../../core/text/html.ts'
import { CONFIRM_PATH, findEmailProof } from '../../../services/users/email-proof.ts'
import { confirmEmail } from '../../../services/users/third-party-ids.ts'
import { form } from '../form.ts'
import { page } from '../page.ts'

const path = `${CONFIRM_PATH}/:sessionId/:token`
const params = z.object({ sessionId: z.string(), token: z.string() })

/**
 * The link in mails that verify an address. The page needs one more click: programs that scan links must not confirm
 * anything.
 */
export const getConfirmEmail = page({
  method: 'GET',
  path,
  rateLimit: 'login',
  params,
  cookieless: true,
  async handle(visit, app) {
    const { address, purpose, userId } = await findEmailProof(app, visit.params)
    const texts = visit.texts.confirmEmail
    const { title, effect, button } = texts[purpose](userId ?? texts.anAccountAt(app.serverName))
    const body = html`<p><b>${address}</b> ${effect} ${texts.wasThatYou}</p>
${form(visit, { fields: html``, submit: button })}
<p>${texts.ifNot}</p>`
    return { title, body }
  },
})

/** Handles the button of that page. */
export const postConfirmEmail = page({
  method: 'POST',
  path,
  rateLimit: 'login',
  params,
  cookieless: true,
  async handle(visit, app) {
    const { next_link: next, purpose, userId } = await confirmEmail(app, visit.params)
    const texts = visit.texts.confirmEmail
    // No redirect: the requester of the mail chose the target, and a redirect would seem to come from this server.
    const on = next === null ? '' : html`<p><a href="${next}">${texts.continueTo(new URL(next).host)}</a></p>`
    const { done } = texts[purpose](userId ?? texts.anAccountAt(app.serverName))
    return { title: texts.doneTitle, body: html`<p>${done}</p>${on}` }
  },
})
