import { beforeAll, describe, expect, inject, test } from 'vitest'
import { type Answer, ask, asUser, registerUser, type TestUser, uniqueName } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#legacy-login */
const { url } = inject('homeserver')
const password = 'correct horse battery'
const v3 = '/_matrix/client/v3'
const whoami = `${v3}/account/whoami`

const post = (path: string, body: unknown, token?: string): Promise<Answer> =>
  ask(url, { method: 'POST', path, body, ...(token !== undefined && { token }) })
const logIn = (user: string, more: Record<string, unknown> = {}): Promise<Answer> =>
  post(`${v3}/login`, { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password, ...more })
const statusOf = async (token: string) => (await ask(url, { method: 'GET', path: whoami, token })).status

let alice: TestUser
beforeAll(async () => {
  alice = await registerUser(url)
})
const localpart = () => alice.userId.slice(1, alice.userId.indexOf(':'))

/** Sends a request that needs a password, with the password. */
async function withPassword(
  user: TestUser,
  path: string,
  body: Record<string, unknown> = {},
  secret = password,
): Promise<Answer> {
  const { session } = (await user.ask('POST', path, body)).body
  const identifier = { type: 'm.id.user', user: user.userId }
  return user.ask('POST', path, { ...body, auth: { type: 'm.login.password', identifier, password: secret, session } })
}

test('the flows', async () => {
  const { body } = await ask(url, { method: 'GET', path: `${v3}/login` })
  expect(body.flows).toContainEqual({ type: 'm.login.password' })
  expect(body.flows).toContainEqual({ type: 'm.login.token', get_login_token: true })
})

test('null counts as absent in fields about the new session, as some clients send it', async () => {
  const absent = { device_id: null, initial_device_display_name: null, refresh_token: null }
  const { status, body } = await logIn(localpart(), absent)
  expect([status, body.refresh_token]).toEqual([200, undefined])
  const registered = { username: uniqueName(), password, auth: { type: 'm.login.dummy' }, ...absent }
  expect((await post(`${v3}/register`, registered)).status).toBe(200)
})

test('a user id, a localpart and the old way of writing it log in', async () => {
  for (const answer of [
    await logIn(alice.userId),
    await logIn(localpart()),
    await logIn(localpart().toUpperCase()),
    await post(`${v3}/login`, { type: 'm.login.password', user: localpart(), password }),
    await post('/_matrix/client/r0/login', { type: 'm.login.password', user: alice.userId, password }),
  ]) {
    expect(answer.status).toBe(200)
    expect(answer.body.user_id).toBe(alice.userId)
    expect(await statusOf(answer.body.access_token)).toBe(200)
  }
})

test('a wrong password, an unknown user and a user elsewhere look the same', async () => {
  const answers = [
    await logIn(alice.userId, { password: 'wrong horse battery' }),
    await logIn(uniqueName('nobody')),
    await logIn('@somebody:elsewhere.example'),
  ]
  for (const { status, body } of answers) {
    expect(status).toBe(403)
    expect(body).toEqual(answers[0]!.body)
  }
  expect(answers[0]!.body.errcode).toBe('M_FORBIDDEN')
})

test.each([
  [{ type: 'm.login.nonsense' }, 'M_UNKNOWN'],
  [{}, 'M_MISSING_PARAM'],
  [{ type: 'm.login.password', password }, 'M_MISSING_PARAM'],
  [{ type: 'm.login.password', identifier: { type: 'm.id.user', user: 'x' } }, 'M_MISSING_PARAM'],
  [{ type: 'm.login.password', identifier: 'x', password }, 'M_BAD_JSON'],
  [{ type: 'm.login.token' }, 'M_MISSING_PARAM'],
])('%j is no login', async (body, errcode) => {
  const answer = await post(`${v3}/login`, body)
  expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
})

test.each(['@@', '', 'a\0b', '@nobody'])('there is no user %j', async (user) => {
  const answer = await logIn(user)
  expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
})

test('a made-up login token', async () => {
  const answer = await post(`${v3}/login`, { type: 'm.login.token', token: 'made-up' })
  expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
})

test('a new login on a device ends its former token', async () => {
  const first = (await logIn(alice.userId, { device_id: 'PHONE', initial_device_display_name: 'Phone' })).body
  const second = (await logIn(alice.userId, { device_id: 'PHONE', initial_device_display_name: 'Renamed' })).body
  expect(second.device_id).toBe('PHONE')
  expect(await statusOf(first.access_token)).toBe(401)
  expect(await statusOf(second.access_token)).toBe(200)
  expect((await alice.get(`${v3}/devices/PHONE`)).display_name).toBe('Phone')
})

test('logging out ends the token and the device', async () => {
  const session = asUser(url, (await logIn(alice.userId)).body)
  await session.post(`${v3}/logout`)
  const { status, body } = await session.ask('GET', whoami)
  expect([status, body.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN'])
  expect((await alice.ask('GET', `${v3}/devices/${session.deviceId}`)).status).toBe(404)
})

test('logging out everywhere ends all sessions', async () => {
  const user = await registerUser(url)
  const other = asUser(url, (await logIn(user.userId)).body)
  await other.post(`${v3}/logout/all`)
  expect(await statusOf(user.accessToken)).toBe(401)
  expect(await statusOf(other.accessToken)).toBe(401)
})

test('no token, a made-up one, and the token in the query', async () => {
  const none = await ask(url, { method: 'GET', path: whoami })
  expect([none.status, none.body.errcode]).toEqual([401, 'M_MISSING_TOKEN'])
  const madeUp = await ask(url, { method: 'GET', path: whoami, token: 'made-up' })
  expect([madeUp.status, madeUp.body.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN'])
  expect((await ask(url, { method: 'GET', path: `${whoami}?access_token=${alice.accessToken}` })).status).toBe(200)
})

const refresh = (token: string) => post(`${v3}/refresh`, { refresh_token: token })

test('refreshing: the old pair works until the new one is used, and returns the same new one', async () => {
  const first = (await logIn(alice.userId, { refresh_token: true })).body
  expect(first.expires_in_ms).toBeGreaterThan(0)
  const lost = (await refresh(first.refresh_token)).body
  const second = (await refresh(first.refresh_token)).body
  expect(second).toEqual(lost)
  expect(await statusOf(first.access_token)).toBe(200)
  expect(await statusOf(second.access_token)).toBe(200)
  expect(await statusOf(first.access_token)).toBe(401)
  const stale = await refresh(first.refresh_token)
  expect([stale.status, stale.body.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN'])
  expect((await refresh(second.refresh_token)).status).toBe(200)
})

test('refreshing with the new refresh token confirms it too', async () => {
  const first = (await logIn(alice.userId, { refresh_token: true })).body
  const second = (await refresh(first.refresh_token)).body
  expect((await refresh(second.refresh_token)).status).toBe(200)
  expect((await refresh(first.refresh_token)).status).toBe(401)
  expect(await statusOf(first.access_token)).toBe(401)
})

test('a refresh token that was never given out, and none', async () => {
  const unknown = await refresh('made-up')
  expect([unknown.status, unknown.body.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN'])
  const none = await post(`${v3}/refresh`, {})
  expect([none.status, none.body.errcode]).toEqual([400, 'M_MISSING_PARAM'])
})

test('logging out ends the refresh token', async () => {
  const session = (await logIn(alice.userId, { refresh_token: true })).body
  await post(`${v3}/logout`, {}, session.access_token)
  expect((await refresh(session.refresh_token)).status).toBe(401)
})

test('a session lets another client in, once, with the password', async () => {
  const path = '/_matrix/client/v1/login/get_token'
  expect((await alice.ask('POST', path, {})).status).toBe(401)
  const { status, body } = await withPassword(alice, path)
  expect(status).toBe(200)
  expect(body.expires_in_ms).toBeGreaterThan(0)
  const byToken = () => post(`${v3}/login`, { type: 'm.login.token', token: body.login_token })
  const answers = await Promise.all([byToken(), byToken(), byToken()])
  expect(answers.map(({ status }) => status).sort()).toEqual([200, 403, 403])
  expect(answers.find(({ status }) => status === 200)!.body.user_id).toBe(alice.userId)
})

const endings: [string, (asker: TestUser, other: TestUser) => Promise<Answer>][] = [
  ['it logs out', (asker) => asker.ask('POST', `${v3}/logout`, {})],
  ['all devices log out', (_, other) => other.ask('POST', `${v3}/logout/all`, {})],
  [
    'another device removes it',
    (asker, other) => withPassword(other, `${v3}/delete_devices`, { devices: [asker.deviceId] }),
  ],
  ['it logs in again', (asker) => logIn(asker.userId, { device_id: asker.deviceId })],
  [
    'the password changes',
    (_, other) => withPassword(other, `${v3}/account/password`, { new_password: 'a new long password' }),
  ],
  ['the account ends', (_, other) => withPassword(other, `${v3}/account/deactivate`)],
]
test.each(endings)('a login token ends with the device that asked for it: %s', async (_, end) => {
  const user = await registerUser(url)
  const [asker, other] = await Promise.all([logIn(user.userId), logIn(user.userId)])
  const asking = asUser(url, asker.body)
  const { body } = await withPassword(asking, '/_matrix/client/v1/login/get_token')
  expect(body.login_token).toEqual(expect.any(String))
  expect((await end(asking, asUser(url, other.body))).status).toBe(200)
  const late = await post(`${v3}/login`, { type: 'm.login.token', token: body.login_token })
  expect([late.status, late.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
})

test('a login token outlives other devices', async () => {
  const user = await registerUser(url)
  const other = asUser(url, (await logIn(user.userId)).body)
  const { body } = await withPassword(user, '/_matrix/client/v1/login/get_token')
  expect((await other.ask('POST', `${v3}/logout`, {})).status).toBe(200)
  expect((await post(`${v3}/login`, { type: 'm.login.token', token: body.login_token })).status).toBe(200)
})

test('a refresh token that was stolen ends the login tokens of its device', async () => {
  const user = await registerUser(url)
  const first = (await logIn(user.userId, { refresh_token: true })).body
  const { body } = await withPassword(asUser(url, first), '/_matrix/client/v1/login/get_token')
  let token = first.refresh_token
  for (let turn = 0; turn < 2; turn++) {
    const next = (await refresh(token)).body
    expect(await statusOf(next.access_token)).toBe(200)
    token = next.refresh_token
  }
  expect((await refresh(first.refresh_token)).status).toBe(401)
  expect((await post(`${v3}/login`, { type: 'm.login.token', token: body.login_token })).status).toBe(403)
})

test('a wrong password proves nothing, and the session goes on', async () => {
  const path = '/_matrix/client/v1/login/get_token'
  const wrong = await withPassword(alice, path, {}, 'wrong horse battery')
  expect([wrong.status, wrong.body.errcode]).toEqual([401, 'M_FORBIDDEN'])
  const identifier = { type: 'm.id.user', user: alice.userId }
  const auth = { type: 'm.login.password', identifier, password, session: wrong.body.session }
  expect((await alice.ask('POST', path, { auth })).status).toBe(200)
})

test("another user's password proves nothing", async () => {
  const bob = await registerUser(url, uniqueName(), { password: 'another long password' })
  const path = '/_matrix/client/v1/login/get_token'
  const { session } = (await alice.ask('POST', path, {})).body
  const identifier = { type: 'm.id.user', user: bob.userId }
  const auth = { type: 'm.login.password', identifier, password: 'another long password', session }
  const answer = await alice.ask('POST', path, { auth })
  expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
})

test('a new password replaces the old, ends other sessions and keeps this one', async () => {
  const user = await registerUser(url)
  const other = asUser(url, (await logIn(user.userId)).body)
  const changed = await withPassword(user, `${v3}/account/password`, { new_password: 'a new long password' })
  expect(changed.status).toBe(200)
  expect(await statusOf(user.accessToken)).toBe(200)
  expect(await statusOf(other.accessToken)).toBe(401)
  expect((await logIn(user.userId)).status).toBe(403)
  expect((await logIn(user.userId, { password: 'a new long password' })).status).toBe(200)
})

test('with logout_devices false other sessions stay', async () => {
  const user = await registerUser(url)
  const other = asUser(url, (await logIn(user.userId)).body)
  await withPassword(user, `${v3}/account/password`, { new_password: 'a new long password', logout_devices: false })
  expect(await statusOf(other.accessToken)).toBe(200)
})

test('a weak new password changes nothing', async () => {
  const user = await registerUser(url)
  const weak = await withPassword(user, `${v3}/account/password`, { new_password: 'short' })
  expect([weak.status, weak.body.errcode]).toEqual([400, 'M_WEAK_PASSWORD'])
  expect((await logIn(user.userId)).status).toBe(200)
})

test('deactivation ends the account for good', async () => {
  const user = await registerUser(url)
  const stranger = await registerUser(url)
  const { room_id: roomId } = await stranger.post(`${v3}/createRoom`, { preset: 'public_chat' })
  await user.post(`${v3}/join/${encodeURIComponent(roomId)}`)
  expect((await user.ask('POST', `${v3}/account/deactivate`, {})).status).toBe(401)
  const gone = await withPassword(user, `${v3}/account/deactivate`, { erase: true })
  expect(gone.status).toBe(200)
  expect(gone.body.id_server_unbind_result).toEqual(expect.stringMatching(/^(success|no-support)$/))
  expect(await statusOf(user.accessToken)).toBe(401)
  expect((await logIn(user.userId)).status).toBe(403)
  const name = user.userId.slice(1, user.userId.indexOf(':'))
  const again = await post(`${v3}/register`, { username: name, password })
  expect([again.status, again.body.errcode]).toEqual([400, 'M_USER_IN_USE'])
  const { joined } = await stranger.get(`${v3}/rooms/${encodeURIComponent(roomId)}/joined_members`)
  expect(Object.keys(joined)).toEqual([stranger.userId])
  expect((await stranger.ask('GET', `${v3}/profile/${encodeURIComponent(user.userId)}`)).status).toBe(404)
})

/** https://spec.matrix.org/v1.19/client-server-api/#user-interactive-api-in-the-rest-api */
describe('a request that a password protects', () => {
  const proof = (user: TestUser, session?: string) => ({
    ...(session !== undefined && { session }),
    type: 'm.login.password',
    identifier: { type: 'm.id.user', user: user.userId },
    password,
  })
  const another = async (user: TestUser) => (await logIn(user.userId)).body.device_id as string
  const devicesOf = async (user: TestUser): Promise<string[]> =>
    (await user.get(`${v3}/devices`)).devices.map(({ device_id }: { device_id: string }) => device_id)

  test.each<[string, string, (device: string) => [string, object | undefined], unknown]>([
    ['deleting devices', 'POST', (device) => [`${v3}/delete_devices`, { devices: [device] }], {}],
    ['deleting one device', 'DELETE', (device) => [`${v3}/devices/${device}`, {}], {}],
    ['a new password', 'POST', () => [`${v3}/account/password`, { new_password: 'another horse' }], {}],
    [
      'a login token',
      'POST',
      () => ['/_matrix/client/v1/login/get_token', {}],
      { login_token: expect.any(String), expires_in_ms: expect.any(Number) },
    ],
  ])('%s: the second may send nothing but auth, and be repeated', async (name, method, requestFor, done) => {
    const user = await registerUser(url)
    const device = await another(user)
    const [path, body] = requestFor(device)
    const { session } = (await user.ask(method, path, body)).body
    for (const request of [{ auth: proof(user, session) }, { auth: { session } }, { ...body, auth: { session } }])
      expect(await user.ask(method, path, request)).toMatchObject({ status: 200, body: done })
    if (name.startsWith('deleting')) expect(await devicesOf(user)).toEqual([user.deviceId])
    if (name === 'a new password') expect((await logIn(user.userId, { password: 'another horse' })).status).toBe(200)
  })

  test('is repeated only as it was', async () => {
    const user = await registerUser(url)
    const [one, other] = [await another(user), await another(user)]
    const path = `${v3}/delete_devices`
    const { session } = (await user.ask('POST', path, { devices: [one] })).body
    await user.post(path, { devices: [one], auth: proof(user, session) })
    expect((await user.ask('POST', path, { devices: [other], auth: { session } })).status).toBe(400)
    expect((await devicesOf(user)).sort()).toEqual([user.deviceId, other].sort())
  })

  test('a new password and the choice to keep sessions come from the first request', async () => {
    const user = await registerUser(url)
    const other = asUser(url, (await logIn(user.userId)).body)
    const wanted = { new_password: 'another horse', logout_devices: false }
    const { session } = (await user.ask('POST', `${v3}/account/password`, wanted)).body
    await user.post(`${v3}/account/password`, { auth: proof(user, session) })
    expect(await statusOf(other.accessToken)).toBe(200)
    expect((await logIn(user.userId, { password: 'another horse' })).status).toBe(200)
  })

  test('that lacks what it needs is refused, with and without a session', async () => {
    const user = await registerUser(url)
    for (const [path, name] of [
      ['delete_devices', 'devices'],
      ['account/password', 'new_password'],
    ]) {
      const answer = await user.ask('POST', `${v3}/${path}`, { auth: proof(user) })
      expect([answer.body.errcode, answer.body.error]).toEqual(['M_MISSING_PARAM', expect.stringContaining(name!)])
    }
  })
})
