import { z } from 'zod'
import type { App } from '../../../app.ts'
import { InvalidParamError, NotFoundError } from '../../../core/errors.ts'
import { html } from '../../../core/text/html.ts'
import { requireUsableAccount, type WebSession } from '../../../services/sign-in/web-sessions.ts'
import { newSsoToken } from '../../../services/users/login-tokens.ts'
import { v3 } from '../../http/client-paths.ts'
import { form } from '../form.ts'
import type { Page } from '../layout.ts'
import { ownPath, SECOND_FACTOR_PATH, withContinue } from '../own-path.ts'
import { page, redirectTo, type Visit } from '../page.ts'
import { startPath } from './provider-list.ts'

const path = [...v3('/login/sso/redirect'), ...v3('/login/sso/redirect/:idpId')]
const params = z.object({ idpId: z.string().optional() })
const query = z.object({
  redirectUrl: z.string().max(1500),
  action: z.string().optional(),
  'org.matrix.msc3824.action': z.string().optional(),
})

type SsoVisit = Visit<z.output<typeof params>, z.output<typeof query>>

/** A trusted client gets its token without a question only if the user has just signed in for it. */
const JUST_NOW_MS = 5 * 60_000

/**
 * Signs in for a client that speaks no OAuth: over the same pages, and then back to the client with a login token.
 * https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3loginssoredirect
 */
export const getSsoRedirect = page({
  method: 'GET',
  path,
  params,
  query,
  handle(visit, app) {
    const client = clientOf(visit)
    const { session } = visit
    if (!session) return redirectTo(signInPath(app, visit))
    requireUsableAccount(session)
    const isFresh = app.clock.now() - session.authenticatedTs <= JUST_NOW_MS
    return isFresh && isTrusted(app, client)
      ? leadBack(app, visit, { session, client })
      : consentPage(visit, { session, client })
  },
})

/** The user agrees. */
export const postSsoRedirect = page({
  method: 'POST',
  path,
  rateLimit: 'login',
  params,
  query,
  async handle(visit, app) {
    const client = clientOf(visit)
    if (!visit.session) return redirectTo(signInPath(app, visit))
    requireUsableAccount(visit.session)
    return redirectTo(await urlWithToken(app, visit.session, client))
  },
})

/** Schemes that a browser handles itself, which no client has. */
const NO_CLIENTS = /^(javascript|data|blob|file|filesystem|about|view-source|vbscript|ws|wss|ftp|mailto):$/

/** Other characters have a meaning in a Content-Security-Policy. */
const HOST = /^([\w.-]+|\[[\da-f:.]+\])$/

/**
 * Parses the URL of a client: a web page, or one with the scheme of an app. Throws M_INVALID_PARAM, also if it is too
 * long to be carried over the pages of the sign-in.
 */
function clientOf({ query: { redirectUrl }, path: here }: SsoVisit): URL {
  if (ownPath(here) === undefined) throw new InvalidParamError('redirectUrl: is too long')
  const url = URL.canParse(redirectUrl) ? new URL(redirectUrl) : undefined
  const isPossible = url && !NO_CLIENTS.test(url.protocol) && (!isWeb(url) || HOST.test(url.hostname))
  if (isPossible && url.username === '' && url.password === '') return url
  throw new InvalidParamError('redirectUrl: is not the URL of a client')
}

function isWeb({ protocol }: URL): boolean {
  return protocol === 'https:' || protocol === 'http:'
}

/** How the user recognises a client: by its host, or the scheme of an app. */
function nameOf(client: URL): string {
  return isWeb(client) ? client.host : client.protocol.slice(0, -1)
}

function isTrusted({ config }: App, client: URL): boolean {
  return config.sign_in.trusted_clients.some((trusted) => {
    const { protocol, origin } = new URL(trusted)
    return isWeb(client) ? origin === client.origin : protocol === client.protocol
  })
}

/** Returns the page where the sign-in begins, which leads back here. */
function signInPath(app: App, { params: { idpId }, query: asked, path: here, restricted }: SsoVisit): string {
  if (restricted) return withContinue(SECOND_FACTOR_PATH, here)
  if (idpId === undefined) {
    const action = asked.action ?? asked['org.matrix.msc3824.action']
    return withContinue(action === 'register' && app.config.registration.enabled ? '/register' : '/login', here)
  }
  const provider = app.identityProviders.get(idpId)
  if (!provider) throw new NotFoundError('There is no identity provider with this ID')
  return startPath(provider, here)
}

type Signed = { session: WebSession; client: URL }

function consentPage(visit: SsoVisit, { session, client }: Signed): Page {
  const texts = visit.texts.sso
  const name = nameOf(client)
  const body = html`<p>${texts.question(name, session.userId)}</p>
<p>${texts.warning}</p>
${form(visit, { fields: [], submit: texts.submit(name) })}
<p><a href="${withContinue('/login?choose=1', visit.path)}">${texts.other}</a></p>`
  return { title: texts.title(name), body, formTargets: [isWeb(client) ? client.origin : client.protocol] }
}

/** A redirect would be the end of a form of another page, whose policy forbids it. */
async function leadBack(app: App, visit: SsoVisit, { session, client }: Signed): Promise<Page> {
  const url = await urlWithToken(app, session, client)
  const texts = visit.texts.sso
  const body = html`<p><a href="${url}" role="button">${texts.submit(nameOf(client))}</a></p>`
  return { title: texts.title(nameOf(client)), body, leadsTo: url }
}

/** Appends a login token to the client's URL, and leaves the rest of it as it is. */
async function urlWithToken(app: App, session: WebSession, client: URL): Promise<string> {
  const token = await newSsoToken(app, session)
  const [place = '', fragment] = splitOnce(client.href, '#')
  const withToken = `${place}${place.includes('?') ? '&' : '?'}loginToken=${token}`
  return fragment === undefined ? withToken : `${withToken}#${fragment}`
}

function splitOnce(text: string, separator: string): [string, string?] {
  const place = text.indexOf(separator)
  return place < 0 ? [text] : [text.slice(0, place), text.slice(place + 1)]
}
