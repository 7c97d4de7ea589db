import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ask } from '../harness/client.ts'
import type { Person, ProviderBrowser } from '../harness/identity-provider.ts'
import { authorization, exchange, loginScope, registerClient, replyOf } from '../harness/oauth-client.ts'
import { newVisitor, type VisitedPage, type Visitor } from '../harness/page-visitor.ts'
import { newPerson, startUpstreamWorld, type UpstreamWorld, whoIs } from '../harness/upstream-world.ts'

/** Back-channel logout, and the way over three processes: any of them answers each step. */
const v3 = '/_matrix/client/v3'
let world: UpstreamWorld
beforeAll(async () => {
  const providers = {
    browser: {},
    devices: { backchannel_logout: 'devices' },
    silent: { backchannel_logout: 'ignore' },
  }
  world = await startUpstreamWorld(providers, { processes: 3 })
})
afterAll(() => world?.dispose())

type SignedIn = { visitor: Visitor; at: ProviderBrowser; person: Person; page: VisitedPage }

async function signIn(id: string, person = newPerson()): Promise<SignedIn> {
  const visitor = newVisitor(world.url)
  const at = world.provider.newBrowser()
  return { visitor, at, person, page: await world.signInAt(visitor, id, { person, at }) }
}

const isSignedIn = async ({ visitor }: SignedIn) => (await visitor.open('/account')).url.pathname === '/account'
const isValid = async (token: string) =>
  (await ask(world.url, { method: 'GET', path: `${v3}/account/whoami`, token })).status === 200
const redirect = `${v3}/login/sso/redirect?redirectUrl=${encodeURIComponent('https://app.example.org/')}`

/** Logs a client in by m.login.sso in a browser that is signed in. Returns a login token. */
async function takeLoginToken({ visitor }: SignedIn): Promise<string> {
  const done = await visitor.submit(await visitor.open(redirect))
  return new URL(done.headers.get('location')!).searchParams.get('loginToken')!
}

const logIn = async (token: string) =>
  (await ask(world.url, { method: 'POST', path: `${v3}/login`, body: { type: 'm.login.token', token } })).body
    .access_token as string | undefined

/** Signs a client in by OAuth in a browser that is signed in; returns its code, to exchange. */
async function consent({ visitor }: SignedIn, scope = loginScope()) {
  const attempt = authorization(await registerClient(world.url), { scope })
  const reply = replyOf(await visitor.submit(await visitor.open(attempt.path), {}, { do: 'allow' }))
  return async () => (await exchange(world.url, attempt, reply.get('code')!)).body.access_token as string | undefined
}

const sendLogout = (id: string, token: string) =>
  fetch(`${world.url}/upstream/${id}/backchannel-logout`, {
    method: 'POST',
    body: new URLSearchParams({ logout_token: token }),
  })

describe('a sign-out at the provider', () => {
  test('ends the web session of that browser only, and keeps the clients', async () => {
    const first = await signIn('browser')
    const second = await signIn('browser', first.person)
    expect(whoIs(second.page)).toBe(whoIs(first.page))
    const token = await logIn(await takeLoginToken(first))
    const pending = await takeLoginToken(first)
    await first.at.signOut()
    expect([await isSignedIn(first), await isSignedIn(second)]).toEqual([false, true])
    expect(await isValid(token!)).toBe(true)
    expect(await logIn(pending)).toBeUndefined()
  })

  test('ends the clients that were signed in by it, where the operator wants that', async () => {
    const first = await signIn('devices')
    const second = await signIn('devices', first.person)
    const token = await logIn(await takeLoginToken(first))
    const oauth = await (await consent(first))()
    const deviceless = await (await consent(first, 'urn:matrix:client:api:*'))()
    const other = await (await consent(second))()
    const late = await consent(first)
    for (const each of [token, oauth, deviceless, other]) expect(await isValid(each!)).toBe(true)
    await first.at.signOut()
    expect(await isSignedIn(first)).toBe(false)
    for (const each of [token, oauth, deviceless]) expect(await isValid(each!)).toBe(false)
    expect(await late()).toBeUndefined()
    expect([await isValid(other!), await isSignedIn(second)]).toEqual([true, true])
  })

  test('ends nothing where the operator ignores it', async () => {
    const signedIn = await signIn('silent')
    await signedIn.at.signOut()
    expect(await isSignedIn(signedIn)).toBe(true)
    const token = await world.provider.signLogout('silent', { sub: signedIn.person.sub })
    expect((await sendLogout('silent', token)).status).toBe(404)
  })

  test('does not end a client that has signed in again otherwise', async () => {
    const first = await signIn('devices')
    const token = await takeLoginToken(first)
    const body = { type: 'm.login.token', token, device_id: 'SAME' }
    await ask(world.url, { method: 'POST', path: `${v3}/login`, body })
    const second = await signIn('devices', first.person)
    const again = { ...body, token: await takeLoginToken(second) }
    const { access_token } = (await ask(world.url, { method: 'POST', path: `${v3}/login`, body: again })).body
    await first.at.signOut()
    expect(await isValid(access_token)).toBe(true)
  })
})

describe('a logout token', () => {
  test('ends all sessions of a subject, once', async () => {
    const [first, other] = [await signIn('browser'), await signIn('browser')]
    const second = await signIn('browser', first.person)
    const token = await world.provider.signLogout('browser', { sub: first.person.sub })
    const answer = await sendLogout('browser', token)
    expect([answer.status, answer.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect([await isSignedIn(first), await isSignedIn(second), await isSignedIn(other)]).toEqual([false, false, true])
    const third = await signIn('browser', first.person)
    const repeated = await Promise.all([1, 2, 3].map(() => sendLogout('browser', token)))
    expect(repeated.map(({ status }) => status)).toEqual([400, 400, 400])
    expect(await isSignedIn(third)).toBe(true)
  })

  test.each<[string, object, object?]>([
    ['names a person with NUL', { sub: 'a\0b' }],
    ['names a session with NUL', { sid: 'a\0b' }],
    ['of another issuer', { iss: 'https://evil.example' }],
    ['for another client', { aud: 'devices' }],
    ['without an event', { events: {} }],
    ['with another event', { events: { 'http://example.org/x': {} } }],
    ['with events that are none', { events: 'http://schemas.openid.net/event/backchannel-logout' }],
    ['with a nonce, as an ID token has', { nonce: 'x' }],
    ['without an ID of its own', { jti: undefined }],
    ['that has expired', { exp: Math.floor(Date.now() / 1000) - 3600 }],
    ['of an hour ago', { iat: Math.floor(Date.now() / 1000) - 3600, exp: undefined }],
    ['of tomorrow', { iat: Math.floor(Date.now() / 1000) + 86_400, exp: undefined }],
    ['of nobody', { sub: undefined }],
    ['with an unknown key', {}, { kid: 'unknown' }],
  ])('%s is refused', async (_, claims, header) => {
    const signedIn = await signIn('browser')
    const token = await world.provider.signLogout('browser', { sub: signedIn.person.sub, ...claims }, header ?? {})
    const answer = await sendLogout('browser', token)
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ error: 'invalid_request' })
    expect(await isSignedIn(signedIn)).toBe(true)
  })

  test('that is none, unsigned, or signed with the secret is refused', async () => {
    const signedIn = await signIn('browser')
    const good = await world.provider.signLogout('browser', { sub: signedIn.person.sub })
    const [, payload, signature] = good.split('.')
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
    const hmac = `${Buffer.from('{"alg":"HS256"}').toString('base64url')}.${payload}.${signature}`
    for (const token of ['', 'x', '..', none, hmac, `${good}x`, 'x'.repeat(20_000)])
      expect((await sendLogout('browser', token)).status, token.slice(0, 40)).toBe(400)
    expect((await sendLogout('nowhere', good)).status).toBe(404)
    expect(await isSignedIn(signedIn)).toBe(true)
  })

  test('of somebody who never signed in is accepted', async () => {
    const token = await world.provider.signLogout('browser', { sub: 'nobody', sid: 'none' })
    expect((await sendLogout('browser', token)).status).toBe(200)
  })
})
