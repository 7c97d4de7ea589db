import { type GrantedRights, rightsOf, withoutAdmin } from '../../../core/oauth-scope.ts'
import { type Html, html } from '../../../core/text/html.ts'
import type { WebSession } from '../../../services/sign-in/web-sessions.ts'
import type { Visit } from '../page.ts'

/**
 * Renders what a user grants with a scope: without the rights of administrators, if the user is none. `isGrantable`:
 * whether anything is left of it.
 */
export function describeRights(
  { session, texts: { consent } }: Visit<unknown, unknown, WebSession>,
  scope: string,
): { isGrantable: boolean; text: Html } {
  const isAdminLeftOut = !session.isAdmin && rightsOf(scope).admin
  const rights = rightsOf(session.isAdmin ? scope : withoutAdmin(scope))
  const isGrantable = rights.api || rights.admin || rights.openid
  const granted = html`<p>${consent.permits(session.userId)}</p><ul>${itemsOf(consent, rights)}</ul>`
  const text = html`${isGrantable ? granted : ''}
${isAdminLeftOut ? html`<p>${consent.noAdministrator(session.userId)}</p>` : ''}`
  return { isGrantable, text }
}

function itemsOf(consent: Visit['texts']['consent'], rights: GrantedRights): Html[] {
  const items = [
    ...(rights.api ? [consent.api] : []),
    ...(rights.admin ? [consent.admin] : []),
    ...(rights.openid ? [consent.openid] : []),
  ]
  return items.map((item) => html`<li>${item}</li>`)
}
