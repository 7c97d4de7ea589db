import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { type LinkedProvider, listLinkedProviders, unlinkProvider } from '../../../services/sign-in/upstream-links.ts'
import type { WebSession } from '../../../services/sign-in/web-sessions.ts'
import { alert, form } from '../form.ts'
import type { Page } from '../layout.ts'
import { accountPage, errorText, redirectTo, type Visit } from '../page.ts'
import { startPath } from '../sign-in/provider-list.ts'

const path = '/account/providers'

type ProvidersVisit = Visit<undefined, undefined, WebSession>

/** The accounts at identity providers with which the user signs in. */
export const getProvidersPage = accountPage({
  method: 'GET',
  path,
  needs: 'signed in',
  handle: (visit, app) => providersPage(app, visit, {}),
})

/** Unlinks one. */
export const postProvidersPage = accountPage({
  method: 'POST',
  path,
  needs: 'recent sign-in',
  async handle(visit, app) {
    const link = { providerId: visit.form.get('provider') ?? '', subject: visit.form.get('subject') ?? '' }
    try {
      await unlinkProvider(app, { userId: visit.session.userId, ...link })
      return redirectTo(path)
    } catch (error) {
      if (!(error instanceof MatrixError)) throw error
      return providersPage(app, visit, { alert: errorText(visit.texts, error.toJSON()), status: error.status })
    }
  },
})

async function providersPage(
  app: App,
  visit: ProvidersVisit,
  { status, alert: problem }: { alert?: string; status?: number },
): Promise<Page> {
  const texts = visit.texts.providers
  const linked = await listLinkedProviders(app, visit.session.userId)
  const links = [...app.identityProviders.values()].map(
    (provider) =>
      html`<li><a href="${startPath(provider, path, true)}" role="button" class="outline">${texts.link(provider.config.name)}</a></li>`,
  )
  const body = html`${alert(problem)}
<p>${texts.hint}</p>
${linked.length === 0 ? html`<p>${texts.none}</p>` : linked.map((each) => linkedItem(visit, each))}
${links.length === 0 ? html`` : html`<h2>${texts.more}</h2><ul class="choices">${links}</ul>`}`
  return { title: texts.title, body, ...(status !== undefined && { status }) }
}

function linkedItem(visit: ProvidersVisit, { providerId, subject, name, label, linkedTs }: LinkedProvider): Html {
  const texts = visit.texts.providers
  const since = new Date(linkedTs).toISOString().slice(0, 10)
  const title = name ?? texts.gone(providerId)
  const fields = html`<input type="hidden" name="provider" value="${providerId}">
<input type="hidden" name="subject" value="${subject}">`
  return html`<article><h2>${title}</h2>
<p><span class="id">${label}</span><br>${texts.since} <time datetime="${since}">${since}</time></p>
${form(visit, { fields, submit: texts.unlink(title), look: 'secondary' })}</article>
`
}
