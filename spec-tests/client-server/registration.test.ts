import { createHmac } from 'node:crypto'
import { describe, expect, inject, test } from 'vitest'
import { ask, registerAdmin, registerUser, uniqueName } from '../harness/client.ts'

const { url, sharedSecret } = inject('homeserver')
const REGISTER = '/_matrix/client/v3/register'
const password = 'correct horse battery'

const register = (body: Record<string, unknown>, query = '') =>
  ask(url, { method: 'POST', path: REGISTER + query, body })

describe('https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register', () => {
  test('without auth: 401 with flows and a session, and no error', async () => {
    const { status, body } = await register({ username: uniqueName(), password })
    expect(status).toBe(401)
    expect(body.flows).toEqual([{ stages: ['m.login.dummy'] }])
    expect(body.session).toEqual(expect.any(String))
    expect(body.params).toEqual({})
    expect(body.errcode).toBeUndefined()
  })

  test('with the stage done: an account and a session that work', async () => {
    const user = await registerUser(url, uniqueName(), { device_id: 'MYDEVICE', initial_device_display_name: 'Phone' })
    expect(user.deviceId).toBe('MYDEVICE')
    expect(await user.get('/_matrix/client/v3/account/whoami')).toEqual({
      user_id: user.userId,
      device_id: 'MYDEVICE',
      is_guest: false,
    })
    expect((await user.get('/_matrix/client/v3/devices/MYDEVICE')).display_name).toBe('Phone')
  })

  test('capitals in a name become small letters', async () => {
    const name = uniqueName()
    const user = await registerUser(url, name.toUpperCase())
    expect(user.userId.startsWith(`@${name}:`)).toBe(true)
  })

  test.each(['sp ace', 'ümlaut', 'co:lon', '@at', 'excl!', ''])('%j is no user name', async (username) => {
    const { status, body } = await register({ username, password })
    expect([status, body.errcode]).toEqual([400, 'M_INVALID_USERNAME'])
  })

  test('a name that is too long is none', async () => {
    const { status, body } = await register({ username: 'a'.repeat(250), password })
    expect([status, body.errcode]).toEqual([400, 'M_INVALID_USERNAME'])
  })

  test('a taken name is refused before authentication', async () => {
    const name = uniqueName()
    await registerUser(url, name)
    const { status, body } = await register({ username: name, password })
    expect([status, body.errcode]).toEqual([400, 'M_USER_IN_USE'])
  })

  test('a weak password is refused', async () => {
    const { status, body } = await register({ username: uniqueName(), password: 'short' })
    expect([status, body.errcode]).toEqual([400, 'M_WEAK_PASSWORD'])
  })

  test('without a name the server makes one up', async () => {
    const { status, body } = await register({ password, auth: { type: 'm.login.dummy' } })
    expect(status).toBe(200)
    expect(body.user_id).toMatch(/^@[a-z0-9]+:/)
  })

  test('inhibit_login: an account, but no session', async () => {
    const username = uniqueName()
    const { body } = await register({ username, password, inhibit_login: true, auth: { type: 'm.login.dummy' } })
    expect(body.user_id).toContain(username)
    expect(body.access_token).toBeUndefined()
    expect(body.device_id).toBeUndefined()
  })

  test('refresh_token: a pair, and when it expires', async () => {
    const { body } = await register({ password, refresh_token: true, auth: { type: 'm.login.dummy' } })
    expect(body.refresh_token).toEqual(expect.any(String))
    expect(body.expires_in_ms).toBeGreaterThan(0)
  })

  test('an authentication session is for one operation and one use', async () => {
    const username = uniqueName()
    const { session } = (await register({ username, password })).body
    const auth = { type: 'm.login.dummy', session }
    const user = await registerUser(url)
    const elsewhere = await user.ask('POST', '/_matrix/client/v3/account/password', { new_password: password, auth })
    expect(elsewhere.status).toBe(403)
    expect((await register({ username, password, auth })).status).toBe(200)
    expect((await register({ username: uniqueName(), password, auth })).status).toBe(400)
  })

  test('of two registrations of one name at once, one succeeds', async () => {
    const username = uniqueName()
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => register({ username, password, auth: { type: 'm.login.dummy' } })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 400, 400, 400, 400])
  })

  test('guests are refused where there are none', async () => {
    const { status, body } = await register({}, '?kind=guest')
    expect([status, body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  })

  test.each([
    ['M_BAD_JSON', { username: 1 }],
    ['M_BAD_JSON', { password: [] }],
    ['M_BAD_JSON', []],
    ['M_BAD_JSON', { auth: 'x' }],
  ])('%s for %j', async (errcode, body) => {
    const answer = await ask(url, { method: 'POST', path: REGISTER, body })
    expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
  })

  test('text with NUL is refused, not a fault of the server', async () => {
    const body = { password, initial_device_display_name: 'a\0b', auth: { type: 'm.login.dummy' } }
    expect((await register(body)).status).toBe(400)
  })
})

describe('https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3registeravailable', () => {
  const available = (name: string) =>
    ask(url, { method: 'GET', path: `${REGISTER}/available?username=${encodeURIComponent(name)}` })

  test('says whether a name is free', async () => {
    const name = uniqueName()
    expect((await available(name)).body).toEqual({ available: true })
    await registerUser(url, name)
    expect((await available(name)).body.errcode).toBe('M_USER_IN_USE')
    expect((await available('no spaces')).body.errcode).toBe('M_INVALID_USERNAME')
  })
})

test('a registration token that nobody made is not valid', async () => {
  const path = '/_matrix/client/v1/register/m.login.registration_token/validity?token=none'
  expect((await ask(url, { method: 'GET', path })).body).toEqual({ valid: false })
})

describe('registration by shared secret, as Synapse has it', () => {
  const path = '/_synapse/admin/v1/register'

  test('makes administrators', async () => {
    const admin = await registerAdmin(url, sharedSecret)
    const other = await registerUser(url)
    const whois = await admin.get(`/_matrix/client/v3/admin/whois/${encodeURIComponent(other.userId)}`)
    expect(whois.user_id).toBe(other.userId)
  })

  test('refuses a wrong mac, and a nonce that was used', async () => {
    const { nonce } = (await ask(url, { method: 'GET', path })).body
    const username = uniqueName()
    const mac = createHmac('sha1', sharedSecret).update([nonce, username, password, 'notadmin'].join('\0')).digest('hex')
    const send = (body: object) => ask(url, { method: 'POST', path, body })
    expect((await send({ nonce, username, password, admin: true, mac })).status).toBe(403)
    expect((await send({ nonce, username, password, mac })).status).toBe(400)
    expect((await send({ nonce: 'none', username, password, mac })).status).toBe(400)
  })
})

test('a token in the query works too', async () => {
  const user = await registerUser(url)
  const answer = await ask(url, { method: 'GET', path: `/_matrix/client/r0/account/whoami?access_token=${user.accessToken}` })
  expect(answer.body.user_id).toBe(user.userId)
})
