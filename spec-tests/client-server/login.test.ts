import { describe, expect, inject, test } from 'vitest'
import { type Answer, ask, asUser, registerAdmin, registerUser, type TestUser, uniqueName } from '../harness/client.ts'

const { url, sharedSecret } = inject('homeserver')
const password = 'correct horse battery'

const post = (path: string, body: unknown, token?: string) =>
  ask(url, { method: 'POST', path: `/_matrix/client/v3${path}`, body, ...(token && { token }) })

function logIn(user: string, more: Record<string, unknown> = {}): Promise<Answer> {
  return post('/login', { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password, ...more })
}

const whoami = (token: string) => ask(url, { method: 'GET', path: '/_matrix/client/v3/account/whoami', token })

/** A request behind user-interactive authentication, with the password. */
async function proven(user: TestUser, request: { method: string; path: string; body?: object; password?: string }) {
  const path = `/_matrix/client/v3${request.path}`
  const { status, body } = await user.ask(request.method, path, request.body ?? {})
  expect(status).toBe(401)
  const identifier = { type: 'm.id.user', user: user.userId }
  const auth = { type: 'm.login.password', identifier, password: request.password ?? password, session: body.session }
  return user.ask(request.method, path, { ...request.body, auth })
}

describe('https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login', () => {
  test('with the localpart, the user id, and as it was before identifiers', async () => {
    const name = uniqueName()
    const { userId } = await registerUser(url, name)
    for (const user of [name, userId, name.toUpperCase()]) expect((await logIn(user)).body.user_id).toBe(userId)
    const old = await post('/login', { type: 'm.login.password', user: name, password })
    expect(old.body.user_id).toBe(userId)
  })

  test.each([
    ['a wrong password', { password: 'wrong' }, 403, 'M_FORBIDDEN'],
    ['no password', { password: undefined }, 400, 'M_MISSING_PARAM'],
    ['an unknown type', { type: 'm.login.dance' }, 400, 'M_UNKNOWN'],
    ['no type', { type: undefined }, 400, 'M_MISSING_PARAM'],
    ['a wrong token', { type: 'm.login.token', token: 'x' }, 403, 'M_FORBIDDEN'],
  ])('%s', async (_, more, status, errcode) => {
    const { userId } = await registerUser(url)
    const answer = await logIn(userId, more)
    expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
  })

  test.each(['nobody-of-that-name', '@nobody:elsewhere.example', '@@', ''])('the unknown user %j', async (user) => {
    const answer = await logIn(user)
    expect([answer.status, answer.body.errcode]).toEqual([403, 'M_FORBIDDEN'])
  })

  test('a device that logs in again keeps its name and loses its former token', async () => {
    const user = await registerUser(url)
    await logIn(user.userId, { device_id: 'D', initial_device_display_name: 'one' })
    const first = await logIn(user.userId, { device_id: 'D', initial_device_display_name: 'two' })
    const second = await logIn(user.userId, { device_id: 'D' })
    expect((await whoami(first.body.access_token)).body).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: false })
    expect((await whoami(second.body.access_token)).body.device_id).toBe('D')
    expect((await user.get('/_matrix/client/v3/devices/D')).display_name).toBe('one')
  })

  test('the flows say what there is', async () => {
    const { body } = await ask(url, { method: 'GET', path: '/_matrix/client/v3/login' })
    expect(body.flows).toContainEqual({ type: 'm.login.password' })
    expect(body.flows).toContainEqual({ type: 'm.login.token', get_login_token: true })
  })
})

describe('logging out', () => {
  test('ends one session with its device', async () => {
    const user = await registerUser(url)
    const other = asUser(url, (await logIn(user.userId)).body)
    await user.post('/_matrix/client/v3/logout')
    expect((await whoami(user.accessToken)).status).toBe(401)
    const { devices } = await other.get('/_matrix/client/v3/devices')
    expect(devices.map((device: { device_id: string }) => device.device_id)).toEqual([other.deviceId])
  })

  test('ends all sessions', async () => {
    const user = await registerUser(url)
    const other = asUser(url, (await logIn(user.userId)).body)
    await user.post('/_matrix/client/v3/logout/all')
    for (const { accessToken } of [user, other]) expect((await whoami(accessToken)).status).toBe(401)
  })
})

describe('https://spec.matrix.org/v1.19/client-server-api/#refreshing-access-tokens', () => {
  const refresh = (token: string) => post('/refresh', { refresh_token: token })

  test('the old pair works until the new one is used', async () => {
    const user = await registerUser(url)
    const first = (await logIn(user.userId, { refresh_token: true })).body
    const second = (await refresh(first.refresh_token)).body
    expect(second.expires_in_ms).toBeGreaterThan(0)
    expect((await whoami(first.access_token)).status).toBe(200)
    expect((await whoami(second.access_token)).status).toBe(200)
    expect((await whoami(first.access_token)).status).toBe(401)
    expect((await refresh(first.refresh_token)).body.errcode).toBe('M_UNKNOWN_TOKEN')
  })

  test('a lost answer can be asked for again, and the first answer is void', async () => {
    const user = await registerUser(url)
    const first = (await logIn(user.userId, { refresh_token: true })).body
    const lost = (await refresh(first.refresh_token)).body
    const second = (await refresh(first.refresh_token)).body
    expect((await whoami(lost.access_token)).status).toBe(401)
    const third = (await refresh(second.refresh_token)).body
    expect((await refresh(first.refresh_token)).status).toBe(401)
    expect((await whoami(third.access_token)).body.device_id).toBe(first.device_id)
  })

  test('an unknown token', async () => {
    expect((await refresh('none')).body.errcode).toBe('M_UNKNOWN_TOKEN')
    expect((await post('/refresh', {})).body.errcode).toBe('M_MISSING_PARAM')
  })
})

describe('https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1loginget_token', () => {
  test('the password gets a token, which logs in once', async () => {
    const user = await registerUser(url)
    const path = '/_matrix/client/v1/login/get_token'
    const { session } = (await user.ask('POST', path, {})).body
    const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: user.userId }, password, session }
    const { login_token: token, expires_in_ms: lifetime } = await user.post(path, { auth })
    expect(lifetime).toBeGreaterThan(0)
    expect((await post('/login', { type: 'm.login.token', token })).body.user_id).toBe(user.userId)
    expect((await post('/login', { type: 'm.login.token', token })).status).toBe(403)
  })
})

describe('https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword', () => {
  const change = { method: 'POST', path: '/account/password' }
  const newPassword = 'another good password'

  test('a new password, and the other sessions end', async () => {
    const user = await registerUser(url)
    const other = asUser(url, (await logIn(user.userId)).body)
    expect((await proven(user, { ...change, body: { new_password: newPassword } })).status).toBe(200)
    expect((await whoami(user.accessToken)).status).toBe(200)
    expect((await whoami(other.accessToken)).status).toBe(401)
    expect((await logIn(user.userId)).status).toBe(403)
    expect((await logIn(user.userId, { password: newPassword })).status).toBe(200)
  })

  test('logout_devices false keeps them', async () => {
    const user = await registerUser(url)
    const other = asUser(url, (await logIn(user.userId)).body)
    await proven(user, { ...change, body: { new_password: newPassword, logout_devices: false } })
    expect((await whoami(other.accessToken)).status).toBe(200)
  })

  test('the wrong password: 401 with the flows and what is wrong, and a second try', async () => {
    const user = await registerUser(url)
    const answer = await proven(user, { ...change, body: { new_password: newPassword }, password: 'wrong' })
    expect(answer.status).toBe(401)
    expect(answer.body).toMatchObject({ errcode: 'M_FORBIDDEN', flows: [{ stages: ['m.login.password'] }], completed: [] })
    const auth = { type: 'm.login.password', user: user.userId, password, session: answer.body.session }
    const again = await user.ask('POST', '/_matrix/client/v3/account/password', { new_password: newPassword, auth })
    expect(again.status).toBe(200)
  })

  test("another user's password proves nothing", async () => {
    const [user, other] = await Promise.all([registerUser(url), registerUser(url)])
    const auth = { type: 'm.login.password', identifier: { type: 'm.id.user', user: other.userId }, password }
    const answer = await user.ask('POST', '/_matrix/client/v3/account/password', { new_password: newPassword, auth })
    expect(answer.status).toBe(401)
  })
})

describe('https://spec.matrix.org/v1.19/client-server-api/#account-deactivation', () => {
  test('ends sessions and logins, keeps the name taken, leaves rooms', async () => {
    const name = uniqueName()
    const [user, friend] = await Promise.all([registerUser(url, name), registerUser(url)])
    const { room_id: roomId } = await friend.post('/_matrix/client/v3/createRoom', { invite: [user.userId] })
    await user.post(`/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/join`)
    const answer = await proven(user, { method: 'POST', path: '/account/deactivate', body: { erase: true } })
    expect(answer.body).toEqual({ id_server_unbind_result: 'success' })
    expect((await whoami(user.accessToken)).body.errcode).toBe('M_UNKNOWN_TOKEN')
    expect((await logIn(user.userId)).body.errcode).toBe('M_USER_DEACTIVATED')
    expect((await post('/register', { username: name, password })).body.errcode).toBe('M_USER_IN_USE')
    const { joined } = await friend.get(`/_matrix/client/v3/rooms/${encodeURIComponent(roomId)}/joined_members`)
    expect(Object.keys(joined)).toEqual([friend.userId])
    const profile = await friend.ask('GET', `/_matrix/client/v3/profile/${encodeURIComponent(user.userId)}`)
    expect(profile.status).toBe(404)
  })
})

describe('administrators', () => {
  const of = (what: string, userId: string) => `/_matrix/client/v1/admin/${what}/${encodeURIComponent(userId)}`

  test('lock accounts, which then can only log out', async () => {
    const [admin, user] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
    await admin.put(of('lock', user.userId), { locked: true })
    expect(await admin.get(of('lock', user.userId))).toEqual({ locked: true })
    expect((await whoami(user.accessToken)).body).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true })
    expect((await logIn(user.userId)).body.errcode).toBe('M_USER_LOCKED')
    await admin.put(of('lock', user.userId), { locked: false })
    expect((await whoami(user.accessToken)).status).toBe(200)
    await admin.put(of('lock', user.userId), { locked: true })
    await user.post('/_matrix/client/v3/logout')
  })

  test('suspend accounts, which then cannot change their profile', async () => {
    const [admin, user] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
    await admin.put(of('suspend', user.userId), { suspended: true })
    const path = `/_matrix/client/v3/profile/${encodeURIComponent(user.userId)}/displayname`
    const answer = await user.ask('PUT', path, { displayname: 'x' })
    expect([answer.status, answer.body.errcode]).toEqual([403, 'M_USER_SUSPENDED'])
    await admin.put(of('suspend', user.userId), { suspended: false })
    await user.put(path, { displayname: 'x' })
  })

  test('others may not, and there are users they may not touch', async () => {
    const [admin, user] = await Promise.all([registerAdmin(url, sharedSecret), registerUser(url)])
    expect((await user.ask('PUT', of('lock', user.userId), { locked: true })).body.errcode).toBe('M_FORBIDDEN')
    expect((await admin.ask('PUT', of('lock', admin.userId), { locked: true })).body.errcode).toBe('M_FORBIDDEN')
    expect((await admin.ask('GET', of('lock', '@x:elsewhere.example'))).body.errcode).toBe('M_INVALID_PARAM')
    const nobody = user.userId.replace(/^@[^:]*/, '@nobody-at-all')
    expect((await admin.ask('GET', of('suspend', nobody))).body.errcode).toBe('M_NOT_FOUND')
  })
})
