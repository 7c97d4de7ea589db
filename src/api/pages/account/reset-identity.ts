import { html } from '../../../core/text/html.ts'
import { allowCrossSigningReset } from '../../../services/devices/cross-signing-reset.ts'
import { alert, form, notice } from '../form.ts'
import { accountPage } from '../page.ts'
import { accountSubpage } from './account-page.ts'

const PATH = '/account/reset-identity'

/** Permits a reset of cross-signing keys: https://spec.matrix.org/v1.19/client-server-api/#oauth-authentication */
export const getResetIdentityPage = accountPage({
  method: 'GET',
  path: PATH,
  needs: 'recent sign-in',
  handle(visit) {
    const { title, why, effects, keeps, loses, verifies, warning, allow } = visit.texts.resetIdentity
    const body = html`<p>${why}</p>
<p>${effects}</p>
<ul><li>${keeps}</li><li>${loses}</li><li>${verifies}</li></ul>
${alert(warning)}
${form(visit, { fields: [], submit: allow, look: 'danger' })}`
    return accountSubpage(visit, { title, body })
  },
})

export const postResetIdentityPage = accountPage({
  method: 'POST',
  path: PATH,
  needs: 'recent sign-in',
  async handle(visit, app) {
    await allowCrossSigningReset(app, visit.session.userId)
    const { allowed, goBack } = visit.texts.resetIdentity
    return accountSubpage(visit, { title: allowed, body: notice(goBack) })
  },
})
