import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { html } from '../../../core/text/html.ts'
import type { ProofLink } from '../../../services/users/email-proof.ts'
import { findForgetfulUser, setForgottenPassword } from '../../../services/users/registration/forgotten-password.ts'
import { alert, field, form } from '../form.ts'
import type { Page } from '../layout.ts'
import { ownPath, withContinue } from '../own-path.ts'
import { errorText, page, type Visit } from '../page.ts'

const path = '/password/reset/:sessionId/:token'
const params = z.object({ sessionId: z.string(), token: z.string() })
const query = z.object({ continue: z.string().optional() })

type ResetVisit = Visit<ProofLink, z.output<typeof query>>

/** Returns the path of the page behind a mailed link. */
export function resetPathOf({ sessionId, token }: ProofLink): string {
  return `/password/reset/${sessionId}/${token}`
}

/** Asks for a new password. Opening the page uses up nothing: programs that scan links do that. */
export const getResetPage = page({
  method: 'GET',
  path,
  rateLimit: 'login',
  params,
  query,
  cookieless: true,
  handle: (visit, app) => resetPage(app, visit),
})

export const postResetPage = page({
  method: 'POST',
  path,
  rateLimit: 'login',
  params,
  query,
  cookieless: true,
  async handle(visit, app) {
    const { texts, query } = visit
    try {
      await setForgottenPassword(app, { link: visit.params, password: visit.form.get('password') ?? '' })
    } catch (error) {
      const isWrong = error instanceof MatrixError && error.status === 400
      if (!isWrong) throw error
      return resetPage(app, visit, { text: errorText(texts, error.toJSON()), status: error.status })
    }
    const body = html`<p role="status">${texts.forgotten.done}</p>
<p><a href="${withContinue('/login', ownPath(query.continue))}">${texts.forgotten.signIn}</a></p>`
    return { title: texts.forgotten.doneTitle, body }
  },
})

async function resetPage(app: App, visit: ResetVisit, wrong?: { text: string; status: number }): Promise<Page> {
  const { forgotten: text, register } = visit.texts
  const userId = await findForgetfulUser(app, visit.params)
  const { minimum_length: minlength } = app.config.passwords
  const fields = [
    field(text.account, { name: 'user', value: userId, autocomplete: 'username', readonly: true }),
    field(
      text.newPassword,
      { name: 'password', type: 'password', autocomplete: 'new-password', minlength, required: true, autofocus: true },
      { hint: register.passwordHint(minlength), error: wrong?.text },
    ),
  ]
  const body = html`${alert(wrong?.text)}
<p>${text.endsSessions}</p>
${form(visit, { fields, submit: text.set })}`
  return { title: text.title, body, ...(wrong && { status: wrong.status }) }
}
