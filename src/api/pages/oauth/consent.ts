import { z } from 'zod'
import type { App } from '../../../app.ts'
import { rightsOf } from '../../../core/oauth-scope.ts'
import { type Html, html } from '../../../core/text/html.ts'
import {
  cancelAuthorization,
  findAuthorization,
  needsNewSignIn,
  type PendingAuthorization,
} from '../../../services/oauth/authorization-requests.ts'
import { issueCode } from '../../../services/oauth/issue-code.ts'
import { clientLabel, type OAuthClient } from '../../../services/oauth/oauth-clients.ts'
import type { WebSession } from '../../../services/sign-in/web-sessions.ts'
import { findDevice } from '../../../storage/devices/devices.ts'
import { form } from '../form.ts'
import { type Page, serviceName } from '../layout.ts'
import { withContinue } from '../own-path.ts'
import { accountPage, redirectTo, type Visit } from '../page.ts'
import { describeRights } from './rights.ts'

const path = '/consent/:requestId'
const params = z.object({ requestId: z.string().max(64) })

/** Asks a user whether a client may use the account. */
export const getConsentPage = accountPage({
  method: 'GET',
  path,
  params,
  needs: 'signed in',
  async handle(visit, app) {
    const pending = await findAuthorization(app, visit.params.requestId)
    if (needsNewSignIn(pending, visit.session)) return redirectTo(withContinue('/login', visit.path))
    return consentPage(app, visit, pending)
  },
})

/** Leads back to the client, with a code or a refusal. */
export const postConsentPage = accountPage({
  method: 'POST',
  path,
  params,
  needs: 'signed in',
  async handle(visit, app) {
    const pending = await findAuthorization(app, visit.params.requestId)
    if (visit.form.get('do') !== 'allow') return redirectTo(await cancelAuthorization(app, pending))
    if (needsNewSignIn(pending, visit.session)) return redirectTo(withContinue('/login', visit.path))
    return redirectTo(await issueCode(app, pending, visit.session))
  },
})

type ConsentVisit = Visit<unknown, unknown, WebSession>

async function consentPage(app: App, visit: ConsentVisit, { request, client }: PendingAuthorization): Promise<Page> {
  const texts = visit.texts.consent
  const { name } = clientLabel(client)
  const { isGrantable, text } = describeRights(visit, request.scope)
  const body = html`<p>${texts.asks(name)}</p>
<p>${texts.provider} <strong>${providerOf(client, request.redirect_uri)}</strong></p>
${text}
${await takeover(app, visit, request.scope)}
${links(visit, { request, client })}
${isGrantable ? form(visit, { fields: [], submit: texts.allow, what: 'allow' }) : ''}
${form(visit, { fields: [], submit: texts.cancel, what: 'cancel', look: 'secondary' })}
<p><a href="${withContinue('/login?login_hint=', visit.path)}">${texts.otherAccount}</a></p>`
  return { title: texts.title(serviceName(app)), body, formTargets: [formTarget(request.redirect_uri)] }
}

/**
 * Returns the host that provides a client. A web page is named by where the user is redirected to: a client may give the
 * site around its own host, on which strangers have pages too.
 */
function providerOf(client: OAuthClient, redirectUri: string): string {
  const { protocol, host } = new URL(redirectUri)
  return protocol === 'https:' ? host : clientLabel(client).host
}

/** Names the device whose sessions end, if the client asks for one of the user's. */
async function takeover({ database }: App, { session: { userId }, texts }: ConsentVisit, scope: string): Promise<Html> {
  const { deviceId } = rightsOf(scope)
  const device = deviceId === undefined ? undefined : await findDevice(database, { userId, deviceId })
  return device ? html`<p>${texts.consent.takesOver(device.display_name ?? device.device_id)}</p>` : html``
}

function links({ texts: { consent } }: ConsentVisit, { client: { metadata } }: PendingAuthorization): Html {
  const { tos_uri: terms, policy_uri: policy } = metadata
  const items = [
    ...(terms === undefined ? [] : [html`<li><a href="${terms}">${consent.terms}</a></li>`]),
    ...(policy === undefined ? [] : [html`<li><a href="${policy}">${consent.policy}</a></li>`]),
  ]
  return items.length === 0 ? html`` : html`<ul>${items}</ul>`
}

/**
 * Returns where the form leads in the end, for the Content-Security-Policy. It cannot name IPv6 addresses, nor hosts of
 * private schemes.
 */
function formTarget(redirectUri: string): string {
  const { protocol, origin, hostname } = new URL(redirectUri)
  return /^https?:$/.test(protocol) && !hostname.startsWith('[') ? origin : protocol
}
