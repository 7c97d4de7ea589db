import type { App } from '../../../app.ts'
import { localpartOf } from '../../../core/ids.ts'
import { html } from '../../../core/text/html.ts'
import { deactivateUser } from '../../../services/users/deactivate.ts'
import { alert, checkbox, field, form, notice } from '../form.ts'
import type { Page } from '../layout.ts'
import { accountPage, page, redirectTo } from '../page.ts'
import { type AccountVisit, accountSubpage, type Problem } from './account-page.ts'

const PATH = '/account/deactivate'
const DONE_PATH = '/account/deactivated'

export const getDeactivatePage = accountPage({
  method: 'GET',
  path: PATH,
  needs: 'recent sign-in',
  handle: (visit) => deactivatePage(visit),
})

export const postDeactivatePage = accountPage({
  method: 'POST',
  path: PATH,
  needs: 'recent sign-in',
  async handle(visit, app: App) {
    const { session, form: filled, texts } = visit
    const { userId } = session
    const typed = (filled.get('name') ?? '').trim()
    const isSame = [userId, localpartOf(userId), `@${localpartOf(userId)}`].includes(typed)
    if (!isSame) return deactivatePage(visit, { alert: texts.deactivate.differs, status: 400, filled })
    const erase = filled.has('erase')
    await app.jobs.attend(await deactivateUser(app, { userId, erase }))
    return redirectTo(DONE_PATH)
  },
})

/** Nobody is signed in any more. */
export const getDeactivatedPage = page({
  method: 'GET',
  path: DONE_PATH,
  handle: ({ texts }) => ({ title: texts.deactivate.done, body: notice(texts.deactivate.doneHint) }),
})

function deactivatePage(visit: AccountVisit, { alert: text, status = 200, filled }: Problem = {}): Page {
  const { deactivate: words } = visit.texts
  const name = {
    name: 'name',
    autocomplete: 'off',
    autocapitalize: 'none',
    spellcheck: 'false',
    required: true,
    value: filled?.get('name') ?? '',
  }
  const fields = [
    checkbox(words.erase, { name: 'erase', checked: filled?.has('erase') ?? false }, { hint: words.eraseHint }),
    field(words.confirm(visit.session.userId), name),
  ]
  const effects = [words.signedOut, words.leaves, words.name, words.addresses, words.messages]
  const body = html`${alert(text)}
<p><strong>${words.forGood}</strong></p>
<ul>${effects.map((effect) => html`<li>${effect}</li>`)}</ul>
${form(visit, { fields, submit: words.submit, look: 'danger' })}`
  return accountSubpage(visit, { title: words.title, body, status })
}
