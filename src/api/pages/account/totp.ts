import type { App } from '../../../app.ts'
import { html } from '../../../core/text/html.ts'
import { confirmTotp, findPendingTotp } from '../../../services/sign-in/totp.ts'
import { alert, field, form } from '../form.ts'
import type { Page } from '../layout.ts'
import { ownPath, SECOND_FACTOR_PATH, withContinue } from '../own-path.ts'
import { type Redirect, redirectTo } from '../page.ts'
import { accountForm, type Problem } from './account-page.ts'
import { afterAdding } from './recovery-codes.ts'
import { type FactorVisit, secondFactorQuery } from './second-factors-view.ts'

const PATH = `${SECOND_FACTOR_PATH}/totp`

/** Shows the secret of a new authenticator app, and asks for its first code. */
export const [getTotpPage, postTotpPage] = accountForm({
  path: PATH,
  query: secondFactorQuery,
  needs: 'recent sign-in',
  withoutSecondFactor: true,
  show: setUpPage,
  async submit(app, visit) {
    const added = await confirmTotp(app, { userId: visit.session.userId, code: visit.form.get('code') ?? '' })
    return afterAdding(visit, added.recoveryCodes)
  },
})

async function setUpPage(app: App, visit: FactorVisit, problem: Problem = {}): Promise<Page | Redirect> {
  const { session, texts, query } = visit
  const words = texts.totp
  const list = withContinue(SECOND_FACTOR_PATH, ownPath(query.continue))
  const pending = await findPendingTotp(app, session.userId)
  if (!pending) return redirectTo(list)
  const { toString: renderQrCode } = await import('qrcode')
  const picture = await renderQrCode(pending.address, { type: 'svg', margin: 4 })
  const source = `data:image/svg+xml;base64,${Buffer.from(picture).toString('base64')}`
  const code = field(
    texts.secondStep.code,
    { name: 'code', inputmode: 'numeric', autocomplete: 'one-time-code', maxlength: 12, required: true },
    { hint: words.codeHint },
  )
  const body = html`${alert(problem.alert)}
<p>${words.scan}</p>
<p><img class="qr" src="${source}" alt="${words.qrCode}" width="240" height="240"></p>
<p>${words.type}<br><code>${pending.secret.replace(/.{4}(?=.)/g, '$& ')}</code></p>
<p><a href="${pending.address}">${words.open}</a></p>
${form(visit, { fields: code, submit: words.submit })}`
  const back = { path: list, label: texts.secondFactor.title }
  return { title: words.title, body, back, status: problem.status ?? 200 }
}
