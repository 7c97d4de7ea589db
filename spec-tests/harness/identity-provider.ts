import { type ChildProcess, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { exportJWK, generateKeyPair, importJWK, type JWTHeaderParameters, type JWTPayload, SignJWT } from 'jose'
import { pollUntil } from '../../testing/poll-until.ts'

const ROOT = join(import.meta.dirname, '..', '..')
const NODE = join(ROOT, 'node_modules', '.bin', 'node')
const PROGRAM = join(import.meta.dirname, 'identity-provider-process.ts')

/** A person at the provider, with claims of OpenID Connect. */
export type Person = { sub: string; [claim: string]: unknown }

/** The fault of the provider, or the error of its clock. */
type Control = {
  fault?: '' | 'discovery' | 'token' | 'userinfo' | 'keys' | 'forged' | 'other person'
  clockMs?: number
}

/** A browser at the provider, with a session of its own there. */
export type ProviderBrowser = {
  /** Signs a person in on the provider's pages, if nobody is signed in; returns where the provider sends the browser. */
  signIn(authorizationUrl: string, person: Person): Promise<URL>
  /** Cancels on the provider's page. */
  cancel(authorizationUrl: string): Promise<URL>
  /** Signs out at the provider, which then sends its back-channel logouts. */
  signOut(): Promise<void>
}

export type IdentityProvider = {
  issuer: string
  newBrowser(): ProviderBrowser
  control(settings: Control): Promise<void>
  /** Signs a logout token, as the provider does; `claims` and `header` replace its own. */
  signLogout(clientId: string, claims: JWTPayload, header?: Partial<JWTHeaderParameters>): Promise<string>
  kill(): Promise<void>
  /** Starts it again after `kill`. */
  restart(options?: { newKey: boolean }): Promise<void>
}

/** Starts the provider at a port. `clientIds`: each is a client of Hearth with the callback of the provider of this ID. */
export async function startIdentityProvider(
  port: number,
  { host, hearthUrl, clientIds }: { host: string; hearthUrl: string; clientIds: readonly string[] },
): Promise<IdentityProvider> {
  const issuer = `http://${host}:${port}`
  const clients = clientIds.map((id) => ({
    client_id: id,
    client_secret: secretOf(id),
    redirect_uris: [`${hearthUrl}/upstream/${id}/callback`],
    backchannel_logout_uri: `${hearthUrl}/upstream/${id}/backchannel-logout`,
    backchannel_logout_session_required: true,
    require_auth_time: true,
  }))
  let key = await newKey()
  let child: ChildProcess
  let output = ''

  async function restart(options = { newKey: false }): Promise<void> {
    if (options.newKey) key = await newKey()
    child = spawn(NODE, [PROGRAM, JSON.stringify({ port, issuer, clients, key })], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    for (const stream of [child.stdout!, child.stderr!]) stream.on('data', (chunk) => (output += chunk))
    await pollUntil('the identity provider answers', async () => {
      if (child.exitCode !== null) throw new Error(output)
      return (await fetch(`${issuer}/.well-known/openid-configuration`)).ok
    })
  }

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await ended
  }

  await restart()
  return {
    issuer,
    newBrowser: () => newProviderBrowser(issuer),
    async control(settings) {
      await fetch(`${issuer}/control`, { method: 'POST', body: JSON.stringify(settings) })
    },
    async signLogout(clientId, claims, header = {}) {
      const { kid, alg } = key as { kid: string; alg: string }
      const now = Math.floor(Date.now() / 1000)
      const events = { 'http://schemas.openid.net/event/backchannel-logout': {} }
      const own = { iss: issuer, aud: clientId, iat: now, exp: now + 120, jti: randomUUID(), events }
      const signer = new SignJWT({ ...own, ...claims }).setProtectedHeader({ alg, kid, typ: 'logout+jwt', ...header })
      return signer.sign(await importJWK(key))
    },
    kill,
    restart,
  }
}

async function newKey(): Promise<object> {
  const { privateKey } = await generateKeyPair('RS256', { extractable: true })
  return { ...(await exportJWK(privateKey)), kid: randomUUID(), alg: 'RS256', use: 'sig' }
}

/** Returns the secret of a client of the provider. */
export function secretOf(clientId: string): string {
  return `secret: of/${clientId}+%`
}

function newProviderBrowser(issuer: string): ProviderBrowser {
  const cookies = new Map<string, string>()

  async function send(url: string, init: RequestInit = {}): Promise<Response> {
    const cookie = [...cookies].map((pair) => pair.join('=')).join('; ')
    const answer = await fetch(url, { ...init, headers: { ...init.headers, cookie }, redirect: 'manual' })
    for (const line of answer.headers.getSetCookie()) {
      const [name = '', value = ''] = line.split(';')[0]!.split(/=(.*)/s)
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
    return answer
  }

  /** Follows redirects within the provider; returns the page, or where it leads outside. */
  async function follow(url: string, init?: RequestInit): Promise<{ url: URL; answer?: Response }> {
    const answer = await send(url, init)
    const location = answer.headers.get('location')
    if (location === null) return { url: new URL(url), answer }
    const next = new URL(location, url)
    return next.origin === issuer ? follow(next.href) : { url: next }
  }

  async function finish(authorizationUrl: string, fields: Record<string, string>): Promise<URL> {
    const { url, answer } = await follow(authorizationUrl)
    if (!answer) return url
    if (!url.pathname.startsWith('/interaction/')) throw new Error(`${url}: ${await answer.text()}`)
    return (await follow(url.href, { method: 'POST', body: new URLSearchParams(fields) })).url
  }

  return {
    signIn: (url, { sub, ...claims }) => finish(url, { sub, claims: JSON.stringify(claims) }),
    cancel: (url) => finish(url, {}),
    async signOut() {
      const page = await (await send(`${issuer}/session/end`)).text()
      const xsrf = /name="xsrf" value="([^"]*)"/.exec(page)![1]!
      await send(`${issuer}/session/end/confirm`, {
        method: 'POST',
        body: new URLSearchParams({ xsrf, logout: 'yes' }),
      })
    },
  }
}
