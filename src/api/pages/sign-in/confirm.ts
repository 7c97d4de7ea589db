import { z } from 'zod'
import type { App } from '../../../app.ts'
import { html } from '../../../core/text/html.ts'
import type { WebSession } from '../../../services/sign-in/web-sessions.ts'
import { confirmBySignIn, purposeOfSession } from '../../../services/users/uia-fallback.ts'
import { stageDonePage } from '../fallback/done.ts'
import { form } from '../form.ts'
import type { Page } from '../layout.ts'
import { withContinue } from '../own-path.ts'
import { accountPage, type Visit } from '../page.ts'

const path = '/login/confirm'
const query = z.object({ session: z.string().max(255) })

type ConfirmVisit = Visit<undefined, z.output<typeof query>, WebSession>

/** The stage m.login.sso: a user who has just signed in on the pages confirms the request of a client. */
export const getConfirmPage = accountPage({
  method: 'GET',
  path,
  query,
  needs: 'recent sign-in',
  handle: (visit, app) => confirmPage(app, visit),
})

export const postConfirmPage = accountPage({
  method: 'POST',
  path,
  rateLimit: 'login',
  query,
  needs: 'recent sign-in',
  async handle(visit, app) {
    const { userId } = visit.session
    await confirmBySignIn(app, { sessionId: visit.query.session, userId })
    return stageDonePage(visit)
  },
})

async function confirmPage(app: App, visit: ConfirmVisit): Promise<Page> {
  const { confirm } = visit.texts
  const { userId, isComplete } = await purposeOfSession(app, { sessionId: visit.query.session, type: 'm.login.sso' })
  if (isComplete) return stageDonePage(visit)
  if (userId === visit.session.userId) {
    const body = html`<p>${confirm.hint(userId)}</p>
<p>${confirm.warning}</p>
${form(visit, { fields: [], submit: confirm.submit })}`
    return { title: confirm.title, body }
  }
  const login = `${withContinue('/login?choose=1', visit.path)}&login_hint=${encodeURIComponent(userId ?? '')}`
  const body = html`<p role="alert">${confirm.otherUser(userId ?? '')}</p>
<p><a href="${login}">${confirm.signIn}</a></p>`
  return { title: confirm.title, body, status: 403 }
}
