import { z } from 'zod'
import { html } from '../../../core/text/html.ts'
import { requireUnsubscribeToken, UNSUBSCRIBE_PATH, unsubscribe } from '../../../services/push/unsubscribe.ts'
import { form } from '../form.ts'
import { page } from '../page.ts'

const path = `${UNSUBSCRIBE_PATH}/:pusherId/:token`
const params = z.object({ pusherId: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER), token: z.string() })

/**
 * The link in mails. Its page submits the form by itself, so that one click suffices; programs that only scan links do
 * not unsubscribe.
 */
export const getUnsubscribe = page({
  method: 'GET',
  path,
  params,
  cookieless: true,
  async handle(visit, app) {
    await requireUnsubscribeToken(app, visit.params.pusherId, visit.params.token)
    const { title, hint } = visit.texts.unsubscribe
    const body = html`<p>${hint}</p>
${form(visit, { fields: html``, submit: title })}`
    return { title, body, script: 'document.forms[0].submit()' }
  },
})

/** Also the target of mail programs' own button: https://www.rfc-editor.org/rfc/rfc8058 */
export const postUnsubscribe = page({
  method: 'POST',
  path,
  params,
  cookieless: true,
  async handle({ params: { pusherId, token }, texts }, app) {
    await unsubscribe(app, pusherId, token)
    return { title: texts.unsubscribe.doneTitle, body: html`<p>${texts.unsubscribe.done}</p>` }
  },
})
