import { z } from 'zod'
import type { App } from '../../../app.ts'
import { type Html, html } from '../../../core/text/html.ts'
import type { AccountAction } from '../../../services/users/account-management.ts'
import { getProfile } from '../../../services/users/profile.ts'
import { countSecondFactors } from '../../../storage/users/second-factors.ts'
import { form, notice } from '../form.ts'
import { accountPage, page, redirectTo } from '../page.ts'
import type { AccountVisit } from './account-page.ts'
import { avatarImage } from './avatar.ts'
import { ACCOUNT_SECTIONS } from './navigation.ts'

const query = z.object({ action: z.string().optional(), device_id: z.string().optional() })

const devicePage = (deviceId: string | undefined) =>
  deviceId === undefined || deviceId === '' ? '/account/devices' : `/account/devices/${encodeURIComponent(deviceId)}`

/**
 * Where clients lead their users: https://spec.matrix.org/v1.19/client-server-api/#account-management-url-actions and
 * the names of MSC4191.
 */
const ACTIONS: Record<AccountAction, (deviceId: string | undefined) => string> = {
  'org.matrix.profile': () => '/account/profile',
  'org.matrix.devices_list': () => '/account/devices',
  'org.matrix.device_view': devicePage,
  'org.matrix.device_delete': devicePage,
  'org.matrix.account_deactivate': () => '/account/deactivate',
  'org.matrix.cross_signing_reset': () => '/account/reset-identity',
  'org.matrix.sessions_list': () => '/account/devices',
  'org.matrix.session_view': devicePage,
  'org.matrix.session_end': devicePage,
}

/** The address of the server in a browser leads to the account. */
export const getRootPage = page({ method: 'GET', path: '/', handle: () => redirectTo('/account') })

/** The start page of an account, which leads on to the page of an action. */
export const getAccountPage = accountPage({
  method: 'GET',
  path: '/account',
  needs: 'signed in',
  query,
  async handle(visit, app) {
    const { query: asked, session, texts } = visit
    const { action } = asked
    if (action !== undefined && isAction(action)) return redirectTo(ACTIONS[action](asked.device_id))
    const profile = await getProfile(app, session.userId)
    const body = html`<div class="person">${avatarImage(profile, texts)}
<p><strong>${String(profile.displayname ?? session.userId)}</strong><br><span class="id">${session.userId}</span></p></div>
${notice(session.isSuspended ? texts.account.suspended : undefined)}
<ul class="entries" aria-label="${texts.account.sections}">${await sections(app, visit)}</ul>
${form(visit, { action: '/logout', fields: [], submit: texts.signOut.submit, look: 'outline secondary' })}`
    return { title: texts.layout.account, body }
  },
})

function isAction(action: string): action is AccountAction {
  return Object.hasOwn(ACTIONS, action)
}

async function sections(app: App, { texts, session }: AccountVisit): Promise<Html[]> {
  const { totp, passkeys } = await countSecondFactors(app.database, session.userId)
  const offered = ACCOUNT_SECTIONS.filter(({ isOffered }) => isOffered?.(app, totp || passkeys > 0) ?? true)
  const entries = offered.map((section) => ({ path: section.path, ...section.texts(texts) }))
  const administration = { path: '/admin', title: texts.admin.link, hint: texts.admin.linkHint }
  return [...entries, ...(session.isAdmin && servesAdmin(app) ? [administration] : [])].map(
    ({ path, title, hint }) => html`<li><a href="${path}"><strong>${title}</strong><small>${hint}</small></a></li>`,
  )
}

/** Whether a listener that serves these pages also serves those for administrators. */
function servesAdmin({ config }: Pick<App, 'config'>): boolean {
  return config.listeners.some(({ serves }) => serves.includes('client') && serves.includes('admin'))
}
