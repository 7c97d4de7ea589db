import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ask, registerUser, type TestUser } from '../harness/client.ts'
import { DEVICE_GRANT, decide, registerDeviceClient, startDevice } from '../harness/device-grant.ts'
import { askOAuth, loginScope, refreshOAuth, registerClient } from '../harness/oauth-client.ts'
import { newVisitor, signIn, type VisitedPage, type Visitor } from '../harness/page-visitor.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#device-authorization-flow, RFC 8628 */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'

let alice: TestUser
let client_id: string
let visitor: Visitor
beforeAll(async () => {
  ;[alice, client_id] = await Promise.all([
    registerUser(url),
    registerDeviceClient(url, { client_name: 'Television <b>' }),
  ])
  visitor = newVisitor(url)
  await signIn(visitor, alice)
})

const start = (deviceId?: string) => startDevice(url, client_id, deviceId)
const authorize = (form: Record<string, string>) => askOAuth(url, '/oauth2/device_authorization', { form })

/** The URL has the server's public name, which differs behind a proxy. */
const pathOf = (absolute: string) => absolute.slice(new URL(absolute).origin.length)

const expectUnknown = ({ status, alert }: VisitedPage) =>
  expect([status, alert]).toEqual([404, expect.stringContaining('No device waits with this code')])

test('a device gets a code, its user approves it, and it gets tokens once', async () => {
  const started = await authorize({ client_id, scope: loginScope() })
  expect(started.headers.get('cache-control')).toBe('no-store')
  expect(started.headers.get('access-control-allow-origin')).toBe('*')
  expect(started.body).toEqual({
    device_code: expect.stringMatching(/^\S{40,}$/),
    user_code: expect.stringMatching(/^[B-Z]{4}-[B-Z]{4}$/),
    verification_uri: expect.stringMatching(/\/device$/),
    verification_uri_complete: expect.stringMatching(/\/device\?user_code=[B-Z]{4}-[B-Z]{4}$/),
    expires_in: 900,
    interval: 5,
  })
  const grant = await start()
  expect(await grant.poll()).toMatchObject({ status: 400, body: { error: 'authorization_pending' } })

  const page = await visitor.open(pathOf(grant.verification_uri_complete))
  expect([page.status, page.title]).toEqual([200, 'Sign in this device?'])
  expect(page.text).toContain(grant.user_code)
  expect(page.text).toContain('Television &#60;b&#62;')
  expect(page.text).toContain(alice.userId)
  // A client's URL proves nothing here.
  expect(page.text).not.toContain('tv.example')
  const done = await visitor.submit(page, {}, { do: 'approve' })
  expect([done.status, done.title]).toEqual([200, 'The device is signed in'])

  const tokens = await grant.poll()
  expect(tokens.status).toBe(200)
  expect(tokens.headers.get('cache-control')).toBe('no-store')
  expect(tokens.body).toEqual({
    access_token: expect.any(String),
    token_type: 'Bearer',
    expires_in: expect.any(Number),
    refresh_token: expect.any(String),
    scope: loginScope(grant.deviceId),
  })
  const token = tokens.body.access_token
  expect((await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token })).body).toMatchObject({
    user_id: alice.userId,
    device_id: grant.deviceId,
  })
  const device = await alice.get(`${v3}/devices/${encodeURIComponent(grant.deviceId)}`)
  expect(device.display_name).toBe('Television <b>')
  const client = { clientId: client_id, redirectUri: '' }
  expect((await refreshOAuth(url, client, tokens.body.refresh_token)).status).toBe(200)

  expect(await grant.poll()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  expectUnknown(await visitor.open(pathOf(grant.verification_uri_complete)))
})

test('a device that its user refuses learns that, again and again', async () => {
  const grant = await start()
  expect((await decide(visitor, grant, 'refuse')).title).toBe('The device is refused')
  for (const _ of [1, 2]) expect(await grant.poll()).toMatchObject({ status: 400, body: { error: 'access_denied' } })
  expectUnknown(await visitor.open(`/device?user_code=${grant.user_code}`))
})

test('a device that polls too often has to slow down, and still gets its tokens', async () => {
  const grant = await start()
  expect((await grant.poll()).body.error).toBe('authorization_pending')
  expect((await grant.poll()).body.error).toBe('slow_down')
  await decide(visitor, grant, 'approve')
  expect((await grant.poll()).status).toBe(200)
})

test('of polls at the same time one gets tokens', async () => {
  const grant = await start()
  await decide(visitor, grant, 'approve')
  const answers = await Promise.all(Array.from({ length: 8 }, () => grant.poll()))
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  expect(answers.filter(({ body }) => body.error === 'invalid_grant')).toHaveLength(7)
})

test('of decisions at the same time one counts', async () => {
  for (let times = 0; times < 4; times++) {
    const grant = await start()
    const page = await visitor.open(`/device?user_code=${grant.user_code}`)
    const decisions = ['approve', 'refuse', 'approve', 'refuse'] as const
    const pages = await Promise.all(decisions.map((decision) => visitor.submit(page, {}, { do: decision })))
    const counted = pages.filter(({ status }) => status === 200)
    expect(counted).toHaveLength(1)
    expect((await grant.poll()).status).toBe(counted[0]!.title === 'The device is signed in' ? 200 : 400)
  }
})

test('the sign-in leads back to the device, also with a code that somebody typed', async () => {
  const grant = await start()
  const stranger = newVisitor(url)
  const form = await stranger.open(pathOf(grant.verification_uri_complete))
  expect(form.url.pathname).toBe('/login')
  const page = await stranger.submit(form, { user: alice.userId, password: 'correct horse battery' })
  expect(page.text).toContain(grant.user_code)

  const typing = await visitor.open('/device')
  const typed = grant.user_code.toLowerCase().replace('-', ' ')
  expect((await visitor.submit(typing, { user_code: typed })).text).toContain(grant.user_code)
})

test('a sign-in that ends between the page and the decision is asked for again', async () => {
  const grant = await start()
  const browser = newVisitor(url)
  await signIn(browser, alice)
  const page = await browser.open(`/device?user_code=${grant.user_code}`)
  const twin = newVisitor(url)
  for (const [name, value] of browser.cookies) twin.cookies.set(name, value)
  await twin.submit(await twin.open('/logout'))
  const form = await browser.submit(page, {}, { do: 'approve' })
  expect(form.url.pathname).toBe('/login')
  const again = await browser.submit(form, { user: alice.userId, password: 'correct horse battery' })
  expect([again.title, again.text.includes(grant.user_code)]).toEqual(['Sign in this device?', true])
  expect((await grant.poll()).body.error).toBe('authorization_pending')
})

test.each(['', 'ABCD-EFGH', 'BCDF-GHJ', 'BCDFGHJKL', '%', '"><script>', 'é'.repeat(90), 'x'.repeat(3000)])(
  'the code %j is unknown',
  async (typed) => {
    const form = await visitor.open('/device')
    const page = await visitor.submit(form, { user_code: typed })
    if (typed === '') expect(page.title).toBe('Sign in a device')
    else expectUnknown(page)
    expect(page.text).not.toContain('"><script>')
    for (const decision of ['approve', 'refuse']) {
      const body = new URLSearchParams({ csrf: form.forms[0]!.fields.csrf!, user_code: typed, do: decision })
      expectUnknown(await visitor.open('/device', { method: 'POST', body }))
    }
  },
)

describe('a device that exists', () => {
  test('is not taken over by a new one', async () => {
    const grant = await start(alice.deviceId)
    const page = await visitor.open(`/device?user_code=${grant.user_code}`)
    expect([page.status, page.alert]).toEqual([403, 'This device is signed in to your account already.'])
    const body = new URLSearchParams({ ...page.forms[0]!.fields, user_code: grant.user_code, do: 'approve' })
    expect((await visitor.open('/device', { method: 'POST', body })).status).toBe(403)
    expect((await grant.poll()).body.error).toBe('authorization_pending')
    expect((await alice.ask('GET', `${v3}/account/whoami`)).status).toBe(200)
  })

  test('is not taken over if it came after the approval', async () => {
    const grant = await start()
    await decide(visitor, grant, 'approve')
    const identifier = { type: 'm.id.user', user: alice.userId }
    const body = { type: 'm.login.password', identifier, password: 'correct horse battery', device_id: grant.deviceId }
    const { access_token: token } = (await ask(url, { method: 'POST', path: `${v3}/login`, body })).body
    expect((await grant.poll()).body.error).toBe('access_denied')
    expect((await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token })).status).toBe(200)
  })

  test('of another user does not matter', async () => {
    const bob = await registerUser(url)
    const grant = await start(bob.deviceId)
    await decide(visitor, grant, 'approve')
    const { access_token: token } = (await grant.poll()).body
    expect((await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token })).body).toMatchObject({
      user_id: alice.userId,
      device_id: bob.deviceId,
    })
  })
})

test('a device ID may be a key in base64, as QR sign-in uses it', async () => {
  const deviceId = `${'a+/'.repeat(14)}A`
  const grant = await start(deviceId)
  await decide(visitor, grant, 'approve')
  const { access_token: token } = (await grant.poll()).body
  const path = `${v3}/devices/${encodeURIComponent(deviceId)}`
  expect((await ask(url, { method: 'GET', path, token })).body.device_id).toBe(deviceId)
})

test('a grant is only for its client, its code and its user', async () => {
  const grant = await start()
  await decide(visitor, grant, 'approve')
  const other = await registerDeviceClient(url, { client_name: 'Another' })
  for (const more of [{ client_id: other }, { device_code: `${grant.device_code}x` }, { device_code: grant.user_code }])
    expect(await grant.poll(more)).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
  expect(await grant.poll({ client_id: 'x'.repeat(43) })).toMatchObject({
    status: 401,
    body: { error: 'invalid_client' },
  })
  expect((await grant.poll()).status).toBe(200)
})

test('an approval ends with all sessions of its user, as the user may have learned of a fraud', async () => {
  const victim = await registerUser(url)
  const browser = newVisitor(url)
  await signIn(browser, victim)
  const grant = await start()
  await decide(browser, grant, 'approve')
  await victim.post(`${v3}/logout/all`)
  expect(await grant.poll()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
})

test('a device that polls while all sessions of its user end is not signed in afterwards', async () => {
  for (let times = 0; times < 5; times++) {
    const user = await registerUser(url)
    const browser = newVisitor(url)
    await signIn(browser, user)
    const grant = await start()
    await decide(browser, grant, 'approve')
    const [polled] = await Promise.all([grant.poll(), user.post(`${v3}/logout/all`)])
    if (polled.status !== 200) expect(polled.body.error).toBe('invalid_grant')
    const token = polled.body.access_token ?? 'none'
    expect((await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token })).status).toBe(401)
  }
})

test('an account that is deactivated before the device polls gets no device', async () => {
  const gone = await registerUser(url)
  const browser = newVisitor(url)
  await signIn(browser, gone)
  const grant = await start()
  await decide(browser, grant, 'approve')
  const { session } = (await gone.ask('POST', `${v3}/account/deactivate`, {})).body
  const identifier = { type: 'm.id.user', user: gone.userId }
  const auth = { type: 'm.login.password', identifier, password: 'correct horse battery', session }
  expect((await gone.ask('POST', `${v3}/account/deactivate`, { auth })).status).toBe(200)
  expect(await grant.poll()).toMatchObject({ status: 400, body: { error: 'invalid_grant' } })
})

describe('requests that are refused', () => {
  const api = 'urn:matrix:client:api:*'
  test.each<[string, Record<string, string>, string]>([
    ['without a client', { scope: api }, 'invalid_request'],
    ['of an unknown client', { client_id: 'x'.repeat(43), scope: api }, 'invalid_client'],
    ['with a NUL in the client', { client_id: '\0', scope: api }, 'invalid_request'],
    ['without a known scope', { scope: 'email' }, 'invalid_scope'],
    [
      'for two devices',
      { scope: `${loginScope('A'.repeat(10))} urn:matrix:client:device:${'B'.repeat(10)}` },
      'invalid_scope',
    ],
    ['for a short device id', { scope: loginScope('SHORT') }, 'invalid_scope'],
  ])('%s', async (_, fields, error) => {
    const given = { ...(_ === 'without a client' ? {} : { client_id }), ...fields }
    expect((await authorize(given)).body).toMatchObject({
      error,
      error_description: expect.any(String),
    })
  })

  test('of a client that has not registered for the grant', async () => {
    const { clientId } = await registerClient(url)
    expect((await authorize({ client_id: clientId, scope: api })).body.error).toBe('unauthorized_client')
  })

  test('with a field twice, as JSON, or with too long a scope', async () => {
    const twice = new URLSearchParams([
      ['client_id', client_id],
      ['client_id', client_id],
      ['scope', api],
    ])
    const json = JSON.stringify({ client_id, scope: api })
    const long = new URLSearchParams({ client_id, scope: `${api} ${'x'.repeat(5000)}` })
    for (const body of [twice, json, long]) {
      const answer = await fetch(`${url}/oauth2/device_authorization`, { method: 'POST', body })
      expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([400, 'invalid_request'])
    }
  })

  test('polls without a code', async () => {
    expect((await askOAuth(url, '/oauth2/token', { form: { grant_type: DEVICE_GRANT, client_id } })).body.error).toBe(
      'invalid_request',
    )
  })
})

test('the metadata name the endpoint and the grant', async () => {
  const { body } = await ask(url, { method: 'GET', path: '/_matrix/client/v1/auth_metadata' })
  expect(body.device_authorization_endpoint).toMatch(/\/oauth2\/device_authorization$/)
  expect(body.grant_types_supported).toContain(DEVICE_GRANT)
})
