import { z } from 'zod'
import type { App } from '../../../app.ts'
import { type Html, html } from '../../../core/text/html.ts'
import { type LinkedProvider, listLinkedProviders, unlinkProvider } from '../../../services/sign-in/upstream-links.ts'
import { alert, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { momentText } from '../moment.ts'
import { redirectTo } from '../page.ts'
import { startPath } from '../sign-in/provider-list.ts'
import { type AccountVisit, accountForm, accountSubpage, messageOf, type Problem } from './account-page.ts'

const path = '/account/providers'
const query = z.object({ done: z.string().optional() })

type ProvidersVisit = AccountVisit<unknown, z.output<typeof query>>

/** The accounts at identity providers with which the user signs in; the form unlinks one. */
export const [getProvidersPage, postProvidersPage] = accountForm({
  path,
  query,
  needs: 'signed in',
  formNeeds: 'recent sign-in',
  show: providersPage,
  async submit(app, visit) {
    const { form: filled, session } = visit
    const link = { providerId: filled.get('provider') ?? '', subject: filled.get('subject') ?? '' }
    await unlinkProvider(app, { userId: session.userId, ...link })
    return redirectTo(`${path}?done=unlinked`)
  },
})

async function providersPage(app: App, visit: ProvidersVisit, problem: Problem = {}): Promise<Page> {
  const texts = visit.texts.providers
  const linked = await listLinkedProviders(app, visit.session.userId)
  const entries = linked.map((each) => entryOf(visit, each))
  const links = [...app.identityProviders.values()].map(
    (provider) =>
      html`<li><a href="${startPath(provider, path, true)}" role="button" class="outline">${texts.link(provider.config.name)}</a></li>`,
  )
  const body = html`${alert(problem.alert)}${notice(messageOf(visit.query.done, { unlinked: texts.unlinked }))}
<p>${texts.hint}</p>
${entries.length === 0 ? html`<p>${texts.none}</p>` : html`<ul class="entries">${entries}</ul>`}
${links.length === 0 ? html`` : html`<h2>${texts.more}</h2><ul class="choices">${links}</ul>`}`
  return accountSubpage(visit, {
    title: texts.title,
    body,
    ...(problem.status !== undefined && { status: problem.status }),
  })
}

function entryOf(visit: ProvidersVisit, { providerId, subject, name, label, linkedTs }: LinkedProvider): Html {
  const texts = visit.texts.providers
  const title = name ?? texts.gone(providerId)
  const fields = html`<input type="hidden" name="provider" value="${providerId}">
<input type="hidden" name="subject" value="${subject}">`
  const since = texts.since(momentText(visit, linkedTs))
  const end = form(visit, {
    fields,
    submit: texts.unlink,
    label: texts.unlinkThis(title, label),
    look: 'outline danger',
  })
  return html`<li><div><strong>${title}</strong> <span class="id">${label}</span>
<small>${since}</small></div>${end}</li>`
}
