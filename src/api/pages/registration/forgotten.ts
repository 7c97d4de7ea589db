import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { parseEmailAddress } from '../../../core/text/email-address.ts'
import { html } from '../../../core/text/html.ts'
import { mailPasswordLink } from '../../../services/users/registration/forgotten-password.ts'
import { alert, field, form } from '../form.ts'
import type { Page } from '../layout.ts'
import { FORGOTTEN_PATH, ownPath, withContinue } from '../own-path.ts'
import { errorText, page, type Visit } from '../page.ts'
import { resetPathOf } from './reset.ts'

const query = z.object({ continue: z.string().optional() })

type ForgottenVisit = Visit<undefined, z.output<typeof query>>

export const getForgottenPage = page({
  method: 'GET',
  path: FORGOTTEN_PATH,
  query,
  handle: (visit, app) => forgottenPage(app, visit),
})

/** Answers alike for an address with and without an account. */
export const postForgottenPage = page({
  method: 'POST',
  path: FORGOTTEN_PATH,
  rateLimit: 'login',
  query,
  async handle(visit, app) {
    const { texts, language } = visit
    if (!app.mailer) return forgottenPage(app, visit)
    const address = parseEmailAddress(visit.form.get('email') ?? '')
    if (address === undefined) return forgottenPage(app, visit, { text: texts.fallback.noAddress, status: 400 })
    const on = ownPath(visit.query.continue)
    try {
      await mailPasswordLink(app, { address, language, pathOf: (link) => withContinue(resetPathOf(link), on) })
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      return forgottenPage(app, visit, { text: errorText(texts, error.toJSON()), status: error.status })
    }
    const body = html`<p role="status">${texts.forgotten.sent(address)}</p>
<p><a href="${withContinue('/login', on)}">${texts.forgotten.back}</a></p>`
    return { title: texts.forgotten.sentTitle, body }
  },
})

function forgottenPage(app: App, visit: ForgottenVisit, wrong?: { text: string; status: number }): Page {
  const { forgotten: text } = visit.texts
  const back = html`<p><a href="${withContinue('/login', ownPath(visit.query.continue))}">${text.back}</a></p>`
  if (!app.mailer) return { title: text.title, body: html`<p>${text.noMail}</p>${back}`, status: 403 }
  const email = field(text.email, {
    name: 'email',
    value: visit.form.get('email') ?? '',
    inputmode: 'email',
    autocomplete: 'email',
    required: true,
    autofocus: true,
  })
  const body = html`${alert(wrong?.text)}
<p>${text.hint}</p>
${form(visit, { fields: email, submit: text.submit })}
${back}`
  return { title: text.title, body, ...(wrong && { status: wrong.status }) }
}
