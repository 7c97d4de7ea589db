import { randomBytes } from 'node:crypto'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { beforeAll, describe, expect, inject, onTestFinished, test } from 'vitest'
import { ask, registerAdmin, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import {
  API_SCOPE,
  askOAuth,
  authorization,
  exchange,
  loginScope,
  type OAuthTestClient,
  obtainCode,
  openConsent,
  refreshOAuth,
  registerClient,
  replyOf,
  signInByOAuth,
  webClient,
} from '../harness/oauth-client.ts'
import { newVisitor, signIn } from '../harness/page-visitor.ts'
import { openSlidingSocket } from '../harness/sliding-socket.ts'

const { url, sharedSecret } = inject('homeserver')
const v3 = '/_matrix/client/v3'
let alice: TestUser
let client: OAuthTestClient
beforeAll(async () => {
  alice = await registerUser(url)
  client = await registerClient(url)
})

const whoami = async (token: string) => ask(url, { method: 'GET', path: `${v3}/account/whoami`, token })

/** https://spec.matrix.org/v1.19/client-server-api/#server-metadata-discovery */
describe('the metadata', () => {
  test.each([
    '/_matrix/client/v1/auth_metadata',
    '/_matrix/client/unstable/org.matrix.msc2965/auth_metadata',
    '/.well-known/openid-configuration',
  ])('are at %s', async (path) => {
    const { status, body, headers } = await ask(url, { method: 'GET', path })
    expect(status).toBe(200)
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(body).toMatchObject({
      response_types_supported: ['code'],
      response_modes_supported: ['query', 'fragment'],
      grant_types_supported: expect.arrayContaining(['authorization_code', 'refresh_token']),
      code_challenge_methods_supported: ['S256'],
      prompt_values_supported: expect.arrayContaining(['login', 'consent', 'create']),
      token_endpoint_auth_methods_supported: ['none'],
    })
    const { origin } = new URL(body.issuer)
    expect(body.issuer).toBe(`${origin}/`)
    for (const [name, pathname] of [
      ['authorization', 'authorize'],
      ['token', 'token'],
      ['revocation', 'revoke'],
      ['registration', 'register'],
      ['userinfo', 'userinfo'],
    ])
      expect(body[`${name}_endpoint`]).toBe(`${origin}/oauth2/${pathname}`)
    expect(body.account_management_uri).toBe(`${origin}/account`)
    expect(body.account_management_actions_supported).toEqual(
      expect.arrayContaining(['org.matrix.devices_list', 'org.matrix.session_end', 'org.matrix.cross_signing_reset']),
    )
  })
})

describe('signing in', () => {
  test.each(['query', 'fragment', undefined])('gives a session with a device, response mode %s', async (mode) => {
    const deviceId = randomBytes(8).toString('hex')
    const attempt = authorization(client, { response_mode: mode, scope: loginScope(deviceId) })
    const visitor = newVisitor(url)
    const consent = await openConsent(visitor, alice, attempt)
    expect(consent.text).toContain('app.example.org')
    expect(consent.text).toContain(alice.userId)
    expect(consent.headers.get('content-security-policy')).toContain("form-action 'self' https://app.example.org")
    const page = await visitor.submit(consent, {}, { do: 'allow' })
    const location = new URL(page.headers.get('location')!)
    expect(location.origin + location.pathname).toBe(client.redirectUri)
    expect(location.hash === '').toBe(mode !== 'fragment')
    expect(replyOf(page).get('state')).toBe(attempt.state)
    const { status, body, headers } = await exchange(url, attempt, replyOf(page).get('code')!)
    expect([status, headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(body).toMatchObject({
      token_type: 'Bearer',
      expires_in: expect.any(Number),
      refresh_token: expect.any(String),
      scope: loginScope(deviceId),
    })
    expect(body.id_token).toBeUndefined()
    expect((await whoami(body.access_token)).body).toMatchObject({ user_id: alice.userId, device_id: deviceId })
    const { devices } = await alice.get(`${v3}/devices`)
    expect(devices).toContainEqual(expect.objectContaining({ device_id: deviceId, display_name: 'A test client' }))
  })

  test('with the unstable scopes, and a key in base64 as the device', async () => {
    const deviceId = `${randomBytes(24).toString('base64').slice(0, -2)}+/`
    const prefix = 'urn:matrix:org.matrix.msc2967.client'
    const scope = `${prefix}:api:* ${prefix}:device:${deviceId}`
    const tokens = await signInByOAuth(url, alice, { client, scope: `${scope} profile` })
    expect(tokens.scope).toBe(scope)
    expect((await whoami(tokens.access_token)).body.device_id).toBe(deviceId)
  })

  test('without a device, if the client asks for none', async () => {
    const tokens = await signInByOAuth(url, alice, { client, scope: API_SCOPE })
    const { body } = await whoami(tokens.access_token)
    expect(body).toEqual({ user_id: alice.userId, is_guest: false })
    const next = await refreshOAuth(url, client, tokens.refresh_token)
    expect((await whoami(next.body.access_token)).status).toBe(200)
    const logout = { method: 'POST', path: `${v3}/logout`, token: next.body.access_token }
    expect((await ask(url, logout)).status).toBe(200)
    expect((await whoami(next.body.access_token)).body).toMatchObject({ soft_logout: false })
    expect((await refreshOAuth(url, client, next.body.refresh_token)).body.error).toBe('invalid_grant')
  })

  test('again on the same device takes it over', async () => {
    const scope = loginScope()
    const first = await signInByOAuth(url, alice, { client, scope })
    const consent = await openConsent(newVisitor(url), alice, authorization(client, { scope }))
    expect(consent.text).toContain('takes the place of your session “A test client”')
    const second = await signInByOAuth(url, alice, { client, scope })
    expect((await whoami(first.access_token)).status).toBe(401)
    expect((await refreshOAuth(url, client, first.refresh_token)).body.error).toBe('invalid_grant')
    expect((await whoami(second.access_token)).status).toBe(200)
  })

  test('and taking over a device of /login ends that login', async () => {
    const user = await registerUser(url, undefined, { device_id: 'ELEVENCHARS' })
    await signInByOAuth(url, user, { client, scope: loginScope('ELEVENCHARS') })
    expect((await whoami(user.accessToken)).status).toBe(401)
  })

  test('cancelling tells the client', async () => {
    const attempt = authorization(client)
    const visitor = newVisitor(url)
    const consent = await openConsent(visitor, alice, attempt)
    const reply = replyOf(await visitor.submit(consent, {}, { do: 'cancel' }))
    expect([reply.get('error'), reply.get('state')]).toEqual(['access_denied', attempt.state])
    const again = await visitor.open(consent.url.pathname)
    expect([again.status, again.alert]).toEqual([404, expect.stringContaining('Start again')])
  })
})

/** https://openid.net/specs/openid-connect-core-1_0.html#AuthRequest */
describe('prompt and login_hint', () => {
  test('a browser that is signed in gets to the consent at once, unless the client wants a sign-in', async () => {
    const visitor = newVisitor(url)
    await signIn(visitor, alice)
    for (const prompt of [undefined, 'consent', 'unknown values'])
      expect((await visitor.open(authorization(client, { prompt }).path)).url.pathname).toMatch(/^\/consent\//)
    const login = await visitor.open(authorization(client, { prompt: 'login' }).path)
    expect(login.url.pathname).toBe('/login')
    // Going on without the sign-in leads back to it.
    const consent = login.url.searchParams.get('continue')!
    expect((await visitor.open(consent)).url.pathname).toBe('/login')
    const page = await visitor.submit(login, { user: alice.userId, password: 'correct horse battery' })
    expect(page.url.pathname).toBe(consent)
    expect(replyOf(await visitor.submit(page, {}, { do: 'allow' })).get('code')).toEqual(expect.any(String))
  })

  test('create leads to the registration, also a browser that is signed in', async () => {
    for (const isSignedIn of [false, true]) {
      const visitor = newVisitor(url)
      if (isSignedIn) await signIn(visitor, alice)
      const attempt = authorization(client, { prompt: 'create' })
      const form = await visitor.open(attempt.path)
      expect(form.url.pathname).toBe('/register')
      const name = uniqueName()
      const consent = await visitor.submit(form, { user: name, password: 'correct horse battery' })
      expect(consent.text).toContain(`@${name}:`)
      const code = replyOf(await visitor.submit(consent, {}, { do: 'allow' })).get('code')!
      const { body } = await exchange(url, attempt, code)
      expect((await whoami(body.access_token)).body.user_id).toMatch(`@${name}:`)
    }
  })

  test('none never shows a page', async () => {
    const visitor = newVisitor(url)
    const { path } = authorization(client, { prompt: 'none' })
    expect(replyOf(await visitor.open(path)).get('error')).toBe('login_required')
    await signIn(visitor, alice)
    expect(replyOf(await visitor.open(path)).get('error')).toBe('consent_required')
  })

  test('the hint fills in the name', async () => {
    for (const [login_hint, name] of [
      [`mxid:${alice.userId}`, alice.userId],
      ['alice', 'alice'],
    ]) {
      const page = await newVisitor(url).open(authorization(client, { login_hint }).path)
      expect(page.forms[0]!.fields.user).toBe(name)
    }
  })

  test('another account can be used', async () => {
    const bob = await registerUser(url)
    const visitor = newVisitor(url)
    await signIn(visitor, alice)
    const attempt = authorization(client)
    const consent = await visitor.open(attempt.path)
    const link = /<a href="([^"]*)">Use another account/.exec(consent.text)![1]!.replace(/&#38;/g, '&')
    const login = await visitor.open(link)
    expect(login.forms[0]!.fields.user).toBe('')
    const again = await visitor.submit(login, { user: bob.userId, password: 'correct horse battery' })
    expect(again.text).toContain(bob.userId)
    // The form of the first account is of no use any more.
    expect((await visitor.submit(consent, {}, { do: 'allow' })).status).toBe(403)
    const code = replyOf(await visitor.submit(again, {}, { do: 'allow' })).get('code')!
    const { body } = await exchange(url, attempt, code)
    expect((await whoami(body.access_token)).body.user_id).toBe(bob.userId)
  })
})

describe('administrators', () => {
  const admin = 'urn:synapse:admin:* urn:mas:admin'
  const whois = (token: string) => ask(url, { method: 'GET', path: `${v3}/admin/whois/${alice.userId}`, token })

  test('grant the rights of administrators, and only if asked', async () => {
    const boss = await registerAdmin(url, sharedSecret)
    const full = await signInByOAuth(url, boss, { client, scope: `${API_SCOPE} ${admin}` })
    expect(full.scope).toBe(`${API_SCOPE} ${admin}`)
    expect((await whois(full.access_token)).status).toBe(200)
    const plain = await signInByOAuth(url, boss, { client })
    expect((await whois(plain.access_token)).status).toBe(403)
    expect((await whois(boss.accessToken)).status).toBe(200)
  })

  test('other users do not grant them', async () => {
    const visitor = newVisitor(url)
    const attempt = authorization(client, { scope: `${API_SCOPE} ${admin}` })
    const consent = await openConsent(visitor, alice, attempt)
    expect(consent.text).toContain('may not do')
    const code = replyOf(await visitor.submit(consent, {}, { do: 'allow' })).get('code')!
    const { body } = await exchange(url, attempt, code)
    expect(body.scope).toBe(API_SCOPE)
    expect(
      (await ask(url, { method: 'GET', path: `${v3}/admin/whois/${alice.userId}`, token: body.access_token })).status,
    ).toBe(200)
    const other = await registerUser(url)
    const path = `${v3}/admin/whois/${other.userId}`
    expect((await ask(url, { method: 'GET', path, token: body.access_token })).status).toBe(403)
  })
})

describe('OpenID Connect', () => {
  test('an ID token says who the user is', async () => {
    const attempt = authorization(client, { scope: `openid ${loginScope()}`, nonce: 'n-0S6' })
    const { body } = await exchange(url, attempt, await obtainCode(url, alice, attempt))
    const jwks = createRemoteJWKSet(new URL(`${url}/oauth2/jwks`))
    const { payload } = await jwtVerify(body.id_token, jwks, { audience: client.clientId, algorithms: ['RS256'] })
    expect(payload).toMatchObject({ sub: alice.userId, nonce: 'n-0S6', name: expect.any(String) })
    expect(payload.iss).toMatch(/^http.*\/$/)
    for (const method of ['GET', 'POST']) {
      const { status, body: claims } = await ask(url, { method, path: '/oauth2/userinfo', token: body.access_token })
      expect([status, claims.sub]).toEqual([200, alice.userId])
    }
  })

  test('a token for nothing else reaches only the userinfo endpoint', async () => {
    const { access_token: token } = await signInByOAuth(url, alice, { client, scope: 'openid' })
    expect((await ask(url, { method: 'GET', path: '/oauth2/userinfo', token })).body.sub).toBe(alice.userId)
    expect((await whoami(token)).status).toBe(403)
    for (const authenticate of ['header', 'message'] as const) {
      const socket = openSlidingSocket({ url, accessToken: token }, { authenticate })
      onTestFinished(() => socket.close())
      socket.request({ lists: {} })
      await expect(socket.next()).rejects.toThrow('M_FORBIDDEN')
    }
    const { access_token: api } = await signInByOAuth(url, alice, { client })
    expect((await ask(url, { method: 'GET', path: '/oauth2/userinfo', token: api })).body.error).toBe('access_denied')
    const none = await ask(url, { method: 'GET', path: '/oauth2/userinfo' })
    expect([none.status, none.body.error]).toEqual([401, 'invalid_token'])
    expect(none.headers.get('www-authenticate')).toBe('Bearer error="invalid_token"')
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#token-revocation */
describe('signing out', () => {
  test.each(['access_token', 'refresh_token'] as const)(
    'by revoking the %s ends the session and its device',
    async (kind) => {
      const tokens = await signInByOAuth(url, alice, { client, scope: loginScope('REVOKEDDEVICE') })
      const form = { token: tokens[kind], token_type_hint: kind, client_id: 'wrong' }
      const { status, body } = await askOAuth(url, '/oauth2/revoke', { form })
      expect([status, body]).toEqual([200, {}])
      expect((await whoami(tokens.access_token)).body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: false })
      expect((await refreshOAuth(url, client, tokens.refresh_token)).body.error).toBe('invalid_grant')
      expect((await alice.ask('GET', `${v3}/devices/REVOKEDDEVICE`)).status).toBe(404)
      expect((await askOAuth(url, '/oauth2/revoke', { form })).status).toBe(200)
    },
  )

  test('does not end a login, and POST /logout ends a session', async () => {
    const user = await registerUser(url)
    expect((await askOAuth(url, '/oauth2/revoke', { form: { token: user.accessToken } })).body).toEqual({})
    expect((await whoami(user.accessToken)).status).toBe(200)
    const tokens = await signInByOAuth(url, user, { client })
    await ask(url, { method: 'POST', path: `${v3}/logout`, token: tokens.access_token })
    expect((await refreshOAuth(url, client, tokens.refresh_token)).body.error).toBe('invalid_grant')
  })

  test('everywhere ends all sessions, also those without a device', async () => {
    const user = await registerUser(url)
    const sessions = [
      await signInByOAuth(url, user, { client }),
      await signInByOAuth(url, user, { client, scope: API_SCOPE }),
    ]
    await user.post(`${v3}/logout/all`)
    for (const { access_token, refresh_token } of sessions) {
      expect((await whoami(access_token)).status).toBe(401)
      expect((await refreshOAuth(url, client, refresh_token)).body.error).toBe('invalid_grant')
    }
  })
})

test('web clients without a name show their host', async () => {
  const { client_name: _, ...nameless } = webClient('nameless.example.org')
  const nameOnly = await registerClient(url, nameless as ReturnType<typeof webClient>)
  expect((await openConsent(newVisitor(url), alice, authorization(nameOnly))).text).toContain('“nameless.example.org”')
})

test('the consent names the host that the user is redirected to, not the site around it', async () => {
  const metadata = {
    ...webClient('pages.example.org'),
    redirect_uris: ['https://mallory.pages.example.org/'] as [string],
  }
  const page = await openConsent(newVisitor(url), alice, authorization(await registerClient(url, metadata)))
  expect(page.text).toContain('<strong>mallory.pages.example.org</strong>')
})
