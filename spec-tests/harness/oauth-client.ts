import { createHash, randomBytes } from 'node:crypto'
import type { Answer } from './client.ts'
import { newVisitor, signIn, type VisitedPage, type Visitor } from './page-visitor.ts'

/** A registered OAuth client. */
export type OAuthTestClient = { clientId: string; redirectUri: string }

/** The tokens of a session. */
export type OAuthTokens = {
  access_token: string
  refresh_token: string
  token_type: string
  expires_in: number
  scope: string
  id_token?: string
}

/** An authorization request of a client. */
export type OAuthAttempt = { client: OAuthTestClient; path: string; state: string; verifier: string }

export const API_SCOPE = 'urn:matrix:client:api:*'
const PREFIX = 'urn:matrix:client:device:'

/** Returns the scope of a client login. `deviceId`: by default a new one. */
export function loginScope(deviceId = randomBytes(8).toString('hex').toUpperCase()): string {
  return `${API_SCOPE} ${PREFIX}${deviceId}`
}

/** Returns metadata of a client as Element Web registers it. */
export function webClient(host = 'app.example.org'): Record<string, unknown> & { redirect_uris: [string] } {
  return {
    client_name: 'A test client',
    client_uri: `https://${host}/`,
    redirect_uris: [`https://${host}/callback`],
    response_types: ['code'],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
    application_type: 'web',
  }
}

/** Sends JSON to an OAuth endpoint, or a form. */
export async function askOAuth(
  url: string,
  path: string,
  sent: { json: unknown } | { form: Record<string, string> | [string, string][] },
): Promise<Answer> {
  const isJson = 'json' in sent
  const response = await fetch(url + path, {
    method: 'POST',
    body: isJson ? JSON.stringify(sent.json) : new URLSearchParams(sent.form),
    headers: { 'Content-Type': isJson ? 'application/json' : 'application/x-www-form-urlencoded' },
  })
  return { status: response.status, body: await response.json(), headers: response.headers }
}

/** Registers a client. */
export async function registerClient(
  url: string,
  metadata: ReturnType<typeof webClient> = webClient(),
): Promise<OAuthTestClient> {
  const { status, body } = await askOAuth(url, '/oauth2/register', { json: metadata })
  if (status !== 201) throw new Error(`registering a client: ${status} ${JSON.stringify(body)}`)
  return { clientId: body.client_id, redirectUri: metadata.redirect_uris[0] }
}

/** Builds an authorization request. `more`: further parameters, or others; undefined leaves one out. */
export function authorization(client: OAuthTestClient, more: Record<string, string | undefined> = {}): OAuthAttempt {
  const verifier = randomBytes(32).toString('base64url')
  const state = randomBytes(8).toString('hex')
  const parameters = {
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    response_type: 'code',
    scope: loginScope(),
    state,
    code_challenge: createHash('sha256').update(verifier).digest('base64url'),
    code_challenge_method: 'S256',
    ...more,
  }
  const given = Object.entries(parameters).filter((entry): entry is [string, string] => entry[1] !== undefined)
  return { client, path: `/oauth2/authorize?${new URLSearchParams(given)}`, state, verifier }
}

/** Opens the request in a browser, signs in if need be, and returns the page that asks for the consent. */
export async function openConsent(
  visitor: Visitor,
  user: { userId: string; password?: string },
  { path }: OAuthAttempt,
): Promise<VisitedPage> {
  const page = await visitor.open(path)
  if (page.url.pathname !== '/login') return page
  return signIn(visitor, user, page.url.searchParams.get('continue')!)
}

/** Returns the parameters that a redirect brings to the client. */
export function replyOf(page: VisitedPage): URLSearchParams {
  const location = page.headers.get('location')
  if (page.status !== 303 || location === null)
    throw new Error(`no redirect to the client but ${page.status} at ${page.url}: ${page.text}`)
  const { hash, search } = new URL(location)
  return new URLSearchParams(hash === '' ? search : hash.slice(1))
}

/** Signs a user in and consents; returns the code. */
export async function obtainCode(
  url: string,
  user: { userId: string; password?: string },
  attempt: OAuthAttempt,
): Promise<string> {
  const visitor = newVisitor(url)
  const reply = replyOf(await visitor.submit(await openConsent(visitor, user, attempt), {}, { do: 'allow' }))
  const code = reply.get('code')
  if (code === null) throw new Error(`no code but ${reply}`)
  return code
}

/** Exchanges a code. `more`: other parameters. */
export function exchange(
  url: string,
  { client, verifier }: OAuthAttempt,
  code: string,
  more: Record<string, string> = {},
): Promise<Answer> {
  const form = {
    grant_type: 'authorization_code',
    client_id: client.clientId,
    redirect_uri: client.redirectUri,
    code_verifier: verifier,
    code,
    ...more,
  }
  return askOAuth(url, '/oauth2/token', { form })
}

/** Refreshes tokens. */
export function refreshOAuth(url: string, client: OAuthTestClient, refreshToken: string): Promise<Answer> {
  const form = { grant_type: 'refresh_token', client_id: client.clientId, refresh_token: refreshToken }
  return askOAuth(url, '/oauth2/token', { form })
}

/** Signs a user in to a client over the pages; returns the tokens. */
export async function signInByOAuth(
  url: string,
  user: { userId: string; password?: string },
  { client, scope }: { client?: OAuthTestClient; scope?: string } = {},
): Promise<OAuthTokens> {
  const attempt = authorization(client ?? (await registerClient(url)), scope === undefined ? {} : { scope })
  const { status, body } = await exchange(url, attempt, await obtainCode(url, user, attempt))
  if (status !== 200) throw new Error(`exchanging the code: ${status} ${JSON.stringify(body)}`)
  return body
}
