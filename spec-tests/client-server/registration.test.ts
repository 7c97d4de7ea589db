import { createHmac } from 'node:crypto'
import { describe, expect, inject, test } from 'vitest'
import { type Answer, ask, asUser, registerAdmin, registerUser, uniqueName } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#account-registration-and-management */
const { url, sharedSecret } = inject('homeserver')
const path = '/_matrix/client/v3/register'
const password = 'correct horse battery'

const post = (body: unknown, at = path): Promise<Answer> => ask(url, { method: 'POST', path: at, body })

/** Registers through all of user-interactive authentication, and returns the last response. */
async function register(body: Record<string, unknown>): Promise<Answer> {
  const { session } = (await post(body)).body
  return post({ ...body, auth: { type: 'm.login.dummy', session } })
}

test('the first answer says how to authenticate', async () => {
  const { status, body } = await post({ username: uniqueName(), password })
  expect(status).toBe(401)
  expect(body.flows).toContainEqual({ stages: ['m.login.dummy'] })
  expect(body.params).toEqual({})
  expect(body.session).toEqual(expect.any(String))
  expect(body.errcode).toBeUndefined()
})

test('an account gets its name, a device and a token that works', async () => {
  const name = uniqueName()
  const { status, body } = await register({
    username: name,
    password,
    device_id: 'LAPTOP',
    initial_device_display_name: 'My laptop',
  })
  expect(status).toBe(200)
  expect(body.user_id).toMatch(new RegExp(`^@${name}:`))
  expect(body.device_id).toBe('LAPTOP')
  const user = asUser(url, body)
  expect(await user.get('/_matrix/client/v3/account/whoami')).toEqual({
    user_id: body.user_id,
    device_id: 'LAPTOP',
    is_guest: false,
  })
  expect((await user.get('/_matrix/client/v3/devices/LAPTOP')).display_name).toBe('My laptop')
})

test('the old path registers too', async () => {
  const old = '/_matrix/client/r0/register'
  const request = { username: uniqueName(), password }
  const { session } = (await post(request, old)).body
  const answer = await post({ ...request, auth: { type: 'm.login.dummy', session } }, old)
  expect(answer.status).toBe(200)
})

test('without a name the server makes one up', async () => {
  const [one, other] = await Promise.all([register({ password }), register({ password })])
  expect(one.body.user_id).toMatch(/^@[a-z0-9._=/+-]+:/)
  expect(other.body.user_id).not.toBe(one.body.user_id)
})

test('capital letters become small ones', async () => {
  const name = uniqueName()
  const { body } = await register({ username: name.toUpperCase(), password })
  expect(body.user_id).toMatch(new RegExp(`^@${name}:`))
})

test('inhibit_login makes an account and no token', async () => {
  const name = uniqueName()
  const { status, body } = await register({ username: name, password, inhibit_login: true })
  expect(status).toBe(200)
  expect(body.access_token).toBeUndefined()
  expect(body.device_id).toBeUndefined()
  const login = await ask(url, {
    method: 'POST',
    path: '/_matrix/client/v3/login',
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: name }, password },
  })
  expect(login.status).toBe(200)
})

test('with refresh_token the access token expires', async () => {
  const { body } = await register({ username: uniqueName(), password, refresh_token: true })
  expect(body.refresh_token).toEqual(expect.any(String))
  expect(body.expires_in_ms).toBeGreaterThan(0)
})

test('a name can be had once, and the second finds out before authenticating', async () => {
  const name = uniqueName()
  await registerUser(url, name)
  for (const answer of [
    await post({ username: name, password }),
    await post({ username: name.toUpperCase(), password }),
  ]) {
    expect(answer.status).toBe(400)
    expect(answer.body.errcode).toBe('M_USER_IN_USE')
  }
})

test('of many who register one name at once, one gets it', async () => {
  const name = uniqueName()
  const answers = await Promise.all(Array.from({ length: 6 }, () => register({ username: name, password })))
  expect(answers.filter(({ status }) => status === 200)).toHaveLength(1)
  const refusals = answers.filter(({ status }) => status !== 200).map(({ body }) => body.errcode)
  expect(new Set(refusals)).toEqual(new Set(['M_USER_IN_USE']))
})

test.each(['space inside', 'ümlaut', 'at@sign', 'co:lon', '', 'x'.repeat(256)])(
  '%j is not a user name',
  async (username) => {
    const { status, body } = await post({ username, password })
    expect([status, body.errcode]).toEqual([400, 'M_INVALID_USERNAME'])
    const available = await ask(url, {
      method: 'GET',
      path: `${path}/available?username=${encodeURIComponent(username)}`,
    })
    expect([available.status, available.body.errcode]).toEqual([400, 'M_INVALID_USERNAME'])
  },
)

test('short passwords are refused', async () => {
  const { status, body } = await post({ username: uniqueName(), password: 'short' })
  expect([status, body.errcode]).toEqual([400, 'M_WEAK_PASSWORD'])
})

test('an account without a password cannot be had', async () => {
  const answer = await register({ username: uniqueName() })
  expect([answer.status, answer.body.errcode]).toEqual([400, 'M_MISSING_PARAM'])
})

test('names can be asked for', async () => {
  const name = uniqueName()
  const available = () => ask(url, { method: 'GET', path: `${path}/available?username=${name}` })
  expect((await available()).body).toEqual({ available: true })
  await registerUser(url, name)
  const taken = await available()
  expect([taken.status, taken.body.errcode]).toEqual([400, 'M_USER_IN_USE'])
})

test('an authentication session serves once, and for nothing else', async () => {
  const first = { username: uniqueName(), password }
  const { session } = (await post(first)).body
  expect((await post({ ...first, auth: { type: 'm.login.dummy', session } })).status).toBe(200)
  const again = await post({ username: uniqueName(), password, auth: { type: 'm.login.dummy', session } })
  expect(again.status).not.toBe(200)
  const unknown = await post({ ...first, username: uniqueName(), auth: { type: 'm.login.dummy', session: 'made-up' } })
  expect(unknown.status).toBeGreaterThanOrEqual(400)
  expect(unknown.status).toBeLessThan(500)

  const user = await registerUser(url)
  const { session: forRegistering } = (await post({ username: uniqueName(), password })).body
  const elsewhere = await user.ask('DELETE', `/_matrix/client/v3/devices/${user.deviceId}`, {
    auth: { type: 'm.login.dummy', session: forRegistering },
  })
  expect(elsewhere.status).not.toBe(200)
  expect((await user.ask('GET', '/_matrix/client/v3/account/whoami')).status).toBe(200)
})

/** Old clients and bots rely on it, as on Synapse. */
describe('a registration whose answer was lost', () => {
  test.each([
    ['with a name', { username: uniqueName(), device_id: 'MINE' }],
    ['without a name', {}],
  ])('%s can be repeated', async (_, more) => {
    const request = { password, initial_device_display_name: 'Old phone', ...more }
    const { session } = (await post(request)).body
    const send = (body: object) => post({ ...body, auth: { type: 'm.login.dummy', session } })
    const first = await send(request)
    const second = await send(request)
    expect([first.status, second.status]).toEqual([200, 200])
    expect(second.body).toMatchObject({ user_id: first.body.user_id, device_id: first.body.device_id })
    // The device has one session: that of the response that arrived.
    const user = asUser(url, second.body)
    expect((await user.get('/_matrix/client/v3/devices')).devices).toHaveLength(1)
    expect((await asUser(url, first.body).ask('GET', '/_matrix/client/v3/devices')).status).toBe(401)
    // The session ID alone yields no token.
    expect((await send({})).body.errcode).toBe('M_MISSING_PARAM')
    for (const other of [
      { ...request, password: 'another horse' },
      { ...request, username: uniqueName() },
    ])
      expect((await send(other)).status).toBe(400)
  })

  test('and that logs in nobody, can be repeated too', async () => {
    const request = { username: uniqueName(), password, inhibit_login: true }
    const { session } = (await post(request)).body
    const send = () => post({ ...request, auth: { type: 'm.login.dummy', session } })
    expect([(await send()).body, (await send()).status]).toEqual([(await send()).body, 200])
  })

  test('cannot be repeated after the account has changed', async () => {
    const request = { username: uniqueName(), password }
    const { session } = (await post(request)).body
    const send = () => post({ ...request, auth: { type: 'm.login.dummy', session } })
    const user = asUser(url, (await send()).body)
    const auth = { type: 'm.login.password', user: user.userId, password }
    const path = '/_matrix/client/v3/account/password'
    expect((await user.ask('POST', path, { auth, new_password: 'another horse' })).status).toBe(200)
    expect((await send()).body.errcode).toBe('M_FORBIDDEN')
    await user.get('/_matrix/client/v3/account/whoami')
  })
})

test('the parameters of the first request hold for a request with nothing but auth', async () => {
  const username = uniqueName()
  const request = { username, password, device_id: 'xyzzy', initial_device_display_name: 'display name' }
  const { session } = (await post(request)).body
  const answer = await post({ auth: { type: 'm.login.dummy', session } })
  expect([answer.status, answer.body.user_id]).toEqual([200, expect.stringContaining(`@${username}:`)])
  const user = asUser(url, answer.body)
  expect(await user.get('/_matrix/client/v3/devices/xyzzy')).toMatchObject({ display_name: 'display name' })
  const identifier = { type: 'm.id.user', user: username }
  const login = await post({ type: 'm.login.password', identifier, password }, '/_matrix/client/v3/login')
  expect(login.status).toBe(200)
})

test('a name that was taken in the meantime can be replaced in the same session', async () => {
  const username = uniqueName()
  const { session } = (await post({ username, password })).body
  await registerUser(url, username)
  const auth = { type: 'm.login.dummy', session }
  expect((await post({ auth })).body.errcode).toBe('M_USER_IN_USE')
  expect((await post({ username, password, auth })).body.errcode).toBe('M_USER_IN_USE')
  expect((await post({ username: uniqueName(), password, auth })).status).toBe(200)
})

test('a stage that is not offered completes nothing', async () => {
  const request = { username: uniqueName(), password }
  const { session } = (await post(request)).body
  const { status, body } = await post({ ...request, auth: { type: 'm.login.email.identity', session } })
  expect(status).toBe(401)
  expect(body.session).toBe(session)
  expect(body.flows).toBeDefined()
  expect(body.errcode).toEqual(expect.any(String))
})

test.each([
  [{ username: 7, password }, 'M_BAD_JSON'],
  [{ username: 'someone', password: {} }, 'M_BAD_JSON'],
  [{ auth: 'm.login.dummy' }, 'M_BAD_JSON'],
  [{ auth: { session: 5 } }, 'M_BAD_JSON'],
  [[], 'M_BAD_JSON'],
])('%j is not a registration', async (body, errcode) => {
  const answer = await post(body)
  expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
})

test('text with NUL is refused, not a fault of the server', async () => {
  const body = { password, initial_device_display_name: 'a\0b', auth: { type: 'm.login.dummy' } }
  expect((await post(body)).status).toBe(400)
})

test('guests are refused where there are none', async () => {
  const answer = await post({}, `${path}?kind=guest`)
  expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
})

test('an unknown kind of account is refused', async () => {
  const answer = await post({}, `${path}?kind=robot`)
  expect(answer.status).toBe(400)
})

test('the validity of a registration token that was never made', async () => {
  const answer = await ask(url, {
    method: 'GET',
    path: '/_matrix/client/v1/register/m.login.registration_token/validity?token=nope',
  })
  expect(answer.body).toEqual({ valid: false })
})

/** https://element-hq.github.io/synapse/latest/admin_api/register_api.html */
const shared = '/_synapse/admin/v1/register'
const getNonce = async () => (await ask(url, { method: 'GET', path: shared })).body.nonce
const macOf = (secret: string, ...fields: string[]) =>
  createHmac('sha1', secret).update(fields.join('\0')).digest('hex')

test('the shared secret registers users, administrators too', async () => {
  expect((await registerAdmin(url, sharedSecret)).accessToken).toEqual(expect.any(String))
  const [nonce, username] = [await getNonce(), uniqueName()]
  const mac = macOf(sharedSecret, nonce, username, password, 'notadmin')
  const { status, body } = await post({ nonce, username, password, displayname: 'Shared', mac }, shared)
  expect(status).toBe(200)
  expect(
    (await ask(url, { method: 'GET', path: `/_matrix/client/v3/profile/${body.user_id}/displayname` })).body,
  ).toEqual({
    displayname: 'Shared',
  })
})

test('a nonce serves once, a wrong secret never', async () => {
  const [nonce, username] = [await getNonce(), uniqueName()]
  const mac = macOf(sharedSecret, nonce, username, password, 'notadmin')
  expect((await post({ nonce, username, password, mac }, shared)).status).toBe(200)
  const other = uniqueName()
  const again = await post(
    { nonce, username: other, password, mac: macOf(sharedSecret, nonce, other, password, 'notadmin') },
    shared,
  )
  expect(again.status).toBe(400)
  const fresh = await getNonce()
  const wrong = await post(
    { nonce: fresh, username: other, password, mac: macOf('guess', fresh, other, password, 'notadmin') },
    shared,
  )
  expect(wrong.status).toBe(403)
  const promoted = await getNonce()
  const notAdmin = macOf(sharedSecret, promoted, other, password, 'notadmin')
  expect((await post({ nonce: promoted, username: other, password, admin: true, mac: notAdmin }, shared)).status).toBe(
    403,
  )
})
