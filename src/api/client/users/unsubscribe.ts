import { z } from 'zod'
import { html } from '../../../core/text/html.ts'
import { requireUnsubscribeToken, UNSUBSCRIBE_PATH, unsubscribe } from '../../../services/push/unsubscribe.ts'
import { asPage } from '../../http/html-page.ts'
import { route } from '../../http/route.ts'

const path = `${UNSUBSCRIBE_PATH}/:pusherId/:token`
const params = z.object({ pusherId: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER), token: z.string() })

/**
 * The link in mails. Its page submits the form by itself, so that one click suffices; programs that only scan links do
 * not unsubscribe.
 */
export const getUnsubscribe = route({
  method: 'GET',
  path,
  auth: 'none',
  params,
  handle: ({ params: { pusherId, token } }, app) =>
    asPage(async () => {
      await requireUnsubscribeToken(app, pusherId, token)
      const body = html`<p>This stops mails about unread messages to this address.</p>
<form method="post"><button>Unsubscribe</button></form>`
      return { title: 'Unsubscribe', body, script: 'document.forms[0].submit()' }
    }),
})

/** Also the target of mail programs' own button: https://www.rfc-editor.org/rfc/rfc8058 */
export const postUnsubscribe = route({
  method: 'POST',
  path,
  auth: 'none',
  params,
  handle: ({ params: { pusherId, token } }, app) =>
    asPage(async () => {
      await unsubscribe(app, pusherId, token)
      return {
        title: 'Unsubscribed',
        body: html`<p>You are unsubscribed. Your client can turn these mails on again.</p>`,
      }
    }),
})
