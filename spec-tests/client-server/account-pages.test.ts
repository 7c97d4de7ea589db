import { beforeAll, describe, expect, inject, test } from 'vitest'
import { ask, logIn, registerAdmin, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import {
  API_SCOPE,
  loginScope,
  refreshOAuth,
  registerClient,
  signInByOAuth,
  webClient,
} from '../harness/oauth-client.ts'
import { newVisitor, signIn, type VisitedPage, type Visitor } from '../harness/page-visitor.ts'
import { createRoom } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#oauth-20-account-management */
const { url, sharedSecret } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const password = 'correct horse battery'

/** Registers a user, and signs a browser in. */
async function enter(on = '/account'): Promise<{ user: TestUser; visitor: Visitor; page: VisitedPage }> {
  const user = await registerUser(url)
  const visitor = newVisitor(url)
  return { user, visitor, page: await signIn(visitor, user, on) }
}

const logInWith = (user: TestUser, given: string) =>
  ask(url, {
    method: 'POST',
    path: `${v3}/login`,
    body: { type: 'm.login.password', identifier: { type: 'm.id.user', user: user.userId }, password: given },
  })

const statusOf = async (user: TestUser) => (await user.ask('GET', `${v3}/account/whoami`)).status

describe('actions', () => {
  test.each([
    ['org.matrix.profile', '/account/profile'],
    ['org.matrix.devices_list', '/account/devices'],
    ['org.matrix.device_view', '/account/devices/DEVICE'],
    ['org.matrix.device_delete', '/account/devices/DEVICE'],
    ['org.matrix.account_deactivate', '/account/deactivate'],
    ['org.matrix.cross_signing_reset', '/account/reset-identity'],
    ['org.matrix.sessions_list', '/account/devices'],
    ['org.matrix.session_view', '/account/devices/DEVICE'],
    ['org.matrix.session_end', '/account/devices/DEVICE'],
    ['org.example.unknown', '/account'],
    ['__proto__', '/account'],
    ['', '/account'],
  ])('%s leads to %s, over the sign-in', async (action, path) => {
    const user = await registerUser(url)
    const visitor = newVisitor(url)
    const place = `/account?${new URLSearchParams({ action, device_id: user.deviceId })}`
    const form = await visitor.open(place)
    expect(form.url.pathname).toBe('/login')
    const page = await visitor.submit(form, { user: user.userId, password })
    const expected = path.replace('DEVICE', user.deviceId)
    expect([page.status, page.url.pathname]).toEqual([200, expected])
    expect((await visitor.open(place)).url.pathname).toBe(expected)
  })

  test('name a device that QR sign-in has named, or none', async () => {
    const { visitor } = await enter()
    const named = (deviceId: string) =>
      visitor.open(`/account?${new URLSearchParams({ action: 'org.matrix.device_view', device_id: deviceId })}`)
    const unknown = await named('a+b/c=/../..')
    expect([unknown.status, unknown.alert]).toEqual([404, expect.stringContaining('no such device')])
    expect((await named('')).url.pathname).toBe('/account/devices')
  })
})

const PAGES = [
  ...['', '/profile', '/devices', '/devices/DEVICE', '/browsers', '/password', '/emails'],
  ...['/reset-identity', '/deactivate', '/second-factor'],
].map((path) => `/account${path}`)

test.each([...PAGES, '/account/uploads', '/account/export'])(
  '%s needs a sign-in, and leads back after it',
  async (path) => {
    const form = await newVisitor(url).open(path)
    expect([form.url.pathname, form.url.searchParams.get('continue')]).toEqual(['/login', path])
  },
)

test.each([...PAGES.slice(1), '/account/avatar'])('%s refuses the form of another site', async (path) => {
  const { user, visitor } = await enter()
  const place = path.replace('DEVICE', user.deviceId)
  const body = new URLSearchParams({ do: 'others', name: user.userId, password: 'new horse battery', csrf: 'forged' })
  const page = await visitor.open(place, { method: 'POST', body })
  expect([page.status, page.alert]).toEqual([403, expect.stringContaining('too old')])
  expect(await statusOf(user)).toBe(200)
  expect((await logInWith(user, password)).status).toBe(200)
})

describe('the profile', () => {
  test('gets a name, which appears in rooms', async () => {
    const { user, visitor } = await enter()
    const roomId = await createRoom(user)
    const page = await visitor.submit(await visitor.open('/account/profile'), { name: 'Alice <3' })
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('Your name is saved')])
    expect(page.forms[0]!.fields.name).toBe('Alice <3')
    expect(await user.get(`${v3}/profile/${user.userId}/displayname`)).toEqual({ displayname: 'Alice <3' })
    const member = await user.get(`${v3}/rooms/${roomId}/state/m.room.member/${user.userId}`)
    expect(member.displayname).toBe('Alice <3')
    expect((await visitor.open('/account')).text).toContain('Alice &#60;3')
    await visitor.submit(await visitor.open('/account/profile'), { name: '' })
    expect(await user.get(`${v3}/profile/${user.userId}`)).toEqual({})
    const long = await visitor.submit(await visitor.open('/account/profile'), { name: 'n'.repeat(257) })
    expect([long.status, long.alert]).toEqual([400, expect.stringContaining('256')])
    expect(long.forms[0]!.fields.name).toHaveLength(257)
  })

  const PIXEL = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
    'base64',
  )
  const file = (content: string | Uint8Array<ArrayBuffer> | Buffer<ArrayBuffer>, name = 'me.png') =>
    new File([content], name, { type: 'image/png' })
  const avatarIn = (page: VisitedPage) => /<img class="avatar" src="([^"]+)"/.exec(page.text)?.[1]

  test('gets a picture, which only its user sees on the page', async () => {
    const { user, visitor } = await enter()
    const page = await visitor.submit(await visitor.open('/account/profile'), { avatar: file(PIXEL) })
    expect([page.status, page.text]).toEqual([200, expect.stringContaining('Your picture is saved')])
    const { avatar_url } = await user.get(`${v3}/profile/${user.userId}`)
    expect(avatar_url).toMatch(/^mxc:\/\//)
    const source = avatarIn(page)!.replaceAll('&#38;', '&')
    const cookie = [...visitor.cookies].map((pair) => pair.join('=')).join('; ')
    const image = await fetch(url + source, { headers: { Cookie: cookie } })
    expect([image.status, image.headers.get('content-type')]).toEqual([200, 'image/png'])
    expect(image.headers.get('cache-control')).toContain('private')
    expect((await fetch(url + source)).status).toBe(404)
    const other = await enter()
    const otherCookie = [...other.visitor.cookies].map((pair) => pair.join('=')).join('; ')
    expect((await fetch(url + source, { headers: { Cookie: otherCookie } })).status).toBe(404)
    const without = await visitor.submit(page, {}, { do: 'remove-avatar' })
    expect(avatarIn(without)).toBeUndefined()
    expect(await user.get(`${v3}/profile/${user.userId}`)).not.toHaveProperty('avatar_url')
  })

  test.each<[string, string | Uint8Array<ArrayBuffer> | Buffer<ArrayBuffer>, string]>([
    ['text', 'no picture', 'Choose a PNG'],
    ['nothing', '', 'Choose a PNG'],
    ['SVG', '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', 'Choose a PNG'],
    ['a picture of more than 10 MB', new Uint8Array([...PIXEL, ...new Uint8Array(10 * 1024 * 1024)]), 'too large'],
  ])('refuses %s as a picture', async (_name, content, text) => {
    const { user, visitor } = await enter()
    const page = await visitor.submit(await visitor.open('/account/profile'), { avatar: file(content) })
    expect([page.url.pathname, page.alert]).toEqual(['/account/profile', expect.stringContaining(text)])
    expect(await user.get(`${v3}/profile/${user.userId}`)).not.toHaveProperty('avatar_url')
  })

  test('refuses a body that is no form', async () => {
    const { visitor } = await enter()
    const { action } = (await visitor.open('/account/profile')).forms.find(({ isUpload }) => isUpload)!
    for (const type of ['multipart/form-data', 'multipart/form-data; boundary=x', 'text/plain']) {
      const page = await visitor.open(action, { method: 'POST', body: 'x', headers: { 'Content-Type': type } })
      expect(page.status).toBe(400)
    }
  })
})

describe('devices', () => {
  test('are listed, renamed and signed out', async () => {
    const { user, visitor } = await enter()
    const phone = await logIn(url, user.userId, 'Phone & more')
    await phone.get(`${v3}/account/whoami`)
    const list = await visitor.open('/account/devices')
    expect(list.text).toContain('Phone &#38; more')
    expect(list.text).toContain('You are signed in on 2 devices')
    const place = `/account/devices/${phone.deviceId}`
    const renamed = await visitor.submit(await visitor.open(place), { name: 'Tablet' })
    expect([renamed.title, renamed.url.pathname]).toEqual(['Tablet', place])
    expect((await user.get(`${v3}/devices/${phone.deviceId}`)).display_name).toBe('Tablet')
    const after = await visitor.submit(renamed, {}, { do: 'sign-out' })
    expect(after.text).toContain('The device is signed out')
    expect(after.text).not.toContain('Tablet')
    expect([await statusOf(phone), await statusOf(user)]).toEqual([401, 200])
    expect((await visitor.open(place)).status).toBe(404)
  })

  test('are signed out except one, or all', async () => {
    const { user, visitor } = await enter()
    const [phone, laptop] = [await logIn(url, user.userId, 'Phone'), await logIn(url, user.userId, 'Laptop')]
    const elsewhere = newVisitor(url)
    await signIn(elsewhere, user)
    const page = await visitor.open(`/account/devices/${phone.deviceId}`)
    expect((await visitor.submit(page, {}, { do: 'others' })).text).toContain(
      'other devices and browsers are signed out',
    )
    expect([await statusOf(user), await statusOf(laptop), await statusOf(phone)]).toEqual([401, 401, 200])
    expect((await elsewhere.open('/account')).url.pathname).toBe('/login')
    const none = await visitor.submit(await visitor.open('/account/devices'))
    expect(none.text).toContain('You are signed in with no client')
    expect(await statusOf(phone)).toBe(401)
  })

  test('of other users cannot be seen or changed', async () => {
    const [{ visitor, user }, bob] = [await enter(), await registerUser(url)]
    const place = `/account/devices/${bob.deviceId}`
    expect((await visitor.open(place)).status).toBe(404)
    const { csrf } = (await visitor.open(`/account/devices/${user.deviceId}`)).forms[0]!.fields
    for (const what of ['sign-out', 'name', 'others']) {
      await visitor.open(place, { method: 'POST', body: new URLSearchParams({ csrf: csrf!, do: what, name: 'Mine' }) })
    }
    expect(await statusOf(bob)).toBe(200)
    expect((await bob.get(`${v3}/devices/${bob.deviceId}`)).display_name).not.toBe('Mine')
  })

  test('are shown in pages', async () => {
    const { user, visitor } = await enter()
    for (let count = 0; count < 51; count++) await logIn(url, user.userId, `Device ${count}.`)
    const first = await visitor.open('/account/devices')
    expect(first.text.match(/href="\/account\/devices\/[^"?]/g)).toHaveLength(50)
    const next = /href="(\/account\/devices\?page=\d+)"/.exec(first.text)![1]!
    const second = await visitor.open(next)
    expect(second.text.match(/href="\/account\/devices\/[^"?]/g)).toHaveLength(2)
    for (const odd of ['-1', '999', '1e3', 'x']) {
      const page = await visitor.open(`/account/devices?page=${odd}`)
      expect([page.status, /href="\/account\/devices\/[^"?]/.test(page.text)]).toEqual([200, true])
    }
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#oauth-20-aware-clients */
describe('clients that sign in by OAuth 2.0', () => {
  test('are shown with their name and host, and signed out with their device', async () => {
    const { user, visitor } = await enter()
    const client = await registerClient(url, { ...webClient('chat.example.net'), client_name: 'Chat <b>' })
    const tokens = await signInByOAuth(url, user, { client, scope: loginScope('OAUTHDEVICE') })
    const label = 'Chat &#60;b&#62; (chat.example.net)'
    expect((await visitor.open('/account/devices')).text).toContain(label)
    const device = await visitor.open('/account?action=org.matrix.device_view&device_id=OAUTHDEVICE')
    expect(device.text).toContain(label)
    await visitor.submit(device, {}, { do: 'sign-out' })
    expect((await ask(url, { method: 'GET', path: `${v3}/account/whoami`, token: tokens.access_token })).status).toBe(
      401,
    )
    expect((await refreshOAuth(url, client, tokens.refresh_token)).body.error).toBe('invalid_grant')
  })

  test('without a device are listed apart', async () => {
    const { user, visitor } = await enter()
    const [client, other] = [await registerClient(url), await enter()]
    const tokens = await signInByOAuth(url, user, { client, scope: API_SCOPE })
    const list = await visitor.open('/account/devices')
    const { session } = list.forms.find(({ fields }) => fields.do === 'client')!.fields
    const { csrf } = (await other.visitor.open('/account/devices')).forms[0]!.fields
    const body = new URLSearchParams({ csrf: csrf!, do: 'client', session: session! })
    await other.visitor.open('/account/devices', { method: 'POST', body })
    expect((await refreshOAuth(url, client, tokens.refresh_token)).status).toBe(200)
    expect((await visitor.submit(list, {}, { do: 'client' })).text).toContain('The client is signed out')
    expect((await refreshOAuth(url, client, tokens.refresh_token)).body.error).toBe('invalid_grant')
  })

  test.each([
    ['DELETE', '/devices/ANY', {}],
    ['POST', '/delete_devices', { devices: [] }],
    ['POST', '/account/password', { new_password: 'new horse battery' }],
    ['POST', '/account/deactivate', {}],
    ['POST', '/account/3pid', {}],
    ['POST', '/account/3pid/add', { sid: 'a', client_secret: 'b' }],
    ['POST', '/account/3pid/bind', {}],
    ['POST', '/account/3pid/delete', { medium: 'email', address: 'a@example.org' }],
    ['POST', '/account/3pid/unbind', { medium: 'email', address: 'a@example.org' }],
    ['POST', '/account/3pid/email/requestToken', { email: 'a@example.org', client_secret: 'b', send_attempt: 1 }],
    ['POST', '/../v1/login/get_token', {}],
  ])('are led to the account page instead of %s %s', async (method, path, body) => {
    const { user } = await enter()
    const { access_token: token } = await signInByOAuth(url, user)
    const answer = await ask(url, { method, path: new URL(v3 + path, url).pathname, body, token })
    expect([answer.status, answer.body.errcode]).toEqual([404, 'M_UNRECOGNIZED'])
    expect(answer.body.error).toContain('/account')
    const { capabilities } = (await ask(url, { method: 'GET', path: `${v3}/capabilities`, token })).body
    for (const name of ['m.change_password', 'm.3pid_changes', 'm.get_login_token'])
      expect(capabilities[name]).toEqual({ enabled: false })
  })

  test('reset cross-signing keys with m.oauth, although the user has a password', async () => {
    const { user, visitor } = await enter()
    const { access_token: token } = await signInByOAuth(url, user)
    const upload = (letter: string, auth?: object) => {
      const key = `${letter.repeat(42)}A`
      const master_key = { user_id: user.userId, usage: ['master'], keys: { [`ed25519:${key}`]: key } }
      const path = `${v3}/keys/device_signing/upload`
      return ask(url, { method: 'POST', path, token, body: { master_key, ...(auth && { auth }) } })
    }
    expect((await upload('A')).status).toBe(200)
    const { status, body } = await upload('B')
    expect([status, body.flows]).toEqual([
      401,
      [{ stages: ['m.oauth'] }, { stages: ['org.matrix.cross_signing_reset'] }],
    ])
    const auth = { session: body.session }
    const guess = { ...auth, type: 'm.login.password', user: user.userId, password }
    expect((await upload('B', guess)).body.errcode).toBe('M_UNRECOGNIZED')
    const page = new URL(body.params['m.oauth'].url)
    expect((await upload('B', auth)).body).toMatchObject({ session: body.session, completed: [] })
    await visitor.submit(await visitor.open(page.pathname + page.search))
    expect((await upload('B', auth)).status).toBe(200)
  })
})

test('uploads: the limits of the user, and what is used', async () => {
  const { user, visitor } = await enter()
  await fetch(`${url}/_matrix/media/v3/upload`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${user.accessToken}` },
    body: new Uint8Array(2048),
  })
  const page = await visitor.open('/account/uploads')
  expect(page.text).toMatch(/2 KiB of 20 GiB/)
})

describe('browsers', () => {
  test('are listed and signed out, one or all others', async () => {
    const { user, visitor } = await enter()
    const others = [newVisitor(url), newVisitor(url), newVisitor(url)]
    for (const other of others) await signIn(other, user)
    const page = await visitor.open('/account/browsers')
    const listed = page.forms.filter(({ fields }) => fields.do === 'one')
    expect(listed).toHaveLength(3)
    expect(page.text.match(/This browser/g)).toHaveLength(1)
    const fewer = await visitor.submit(page, { browser: listed[0]!.fields.browser! }, { do: 'one' })
    expect(fewer.forms.filter(({ fields }) => fields.do === 'one')).toHaveLength(2)
    await visitor.submit(fewer, {}, { do: 'others' })
    for (const other of others) expect((await other.open('/account')).url.pathname).toBe('/login')
    expect((await visitor.open('/account')).url.pathname).toBe('/account')
    expect(await statusOf(user)).toBe(200)
  })

  test('of other users stay', async () => {
    const [alice, bob] = [await enter(), await enter()]
    await signIn(newVisitor(url), bob.user)
    await signIn(newVisitor(url), alice.user)
    const bobs = await bob.visitor.open('/account/browsers')
    const { browser } = bobs.forms.find(({ fields }) => fields.do === 'one')!.fields
    await alice.visitor.submit(await alice.visitor.open('/account/browsers'), { browser: browser! }, { do: 'one' })
    expect((await bob.visitor.open('/account/browsers')).text).toContain(browser)
  })
})

describe('the password', () => {
  const change = async (visitor: Visitor, fields: Record<string, string>) =>
    visitor.submit(await visitor.open('/account/password'), fields)

  test('is changed; devices stay unless wanted otherwise', async () => {
    const { user, visitor } = await enter()
    const elsewhere = newVisitor(url)
    await signIn(elsewhere, user)
    const saved = await change(visitor, { password: 'new horse battery', again: 'new horse battery' })
    expect(saved.text).toContain('Your password is changed')
    expect([(await logInWith(user, password)).status, await statusOf(user)]).toEqual([403, 200])
    expect((await logInWith(user, 'new horse battery')).status).toBe(200)
    const page = await visitor.open('/account/password')
    const fields = { ...page.forms[0]!.fields, password, again: password, 'sign-out': 'on' }
    await visitor.open('/account/password', { method: 'POST', body: new URLSearchParams(fields) })
    expect(await statusOf(user)).toBe(401)
    expect((await elsewhere.open('/account')).url.pathname).toBe('/login')
    expect((await visitor.open('/account')).url.pathname).toBe('/account')
    expect((await logInWith(user, password)).status).toBe(200)
  })

  test.each([
    ['new horse battery', 'other horse battery', 'differ'],
    ['short', 'short', 'at least 8 characters'],
    ['', '', 'at least 8 characters'],
    ['p'.repeat(1025), 'p'.repeat(1025), 'cannot be used'],
  ])('%s, repeated as %s, is refused', async (first, again, text) => {
    const { user, visitor } = await enter()
    const page = await change(visitor, { password: first, again })
    expect([page.status, page.alert]).toEqual([400, expect.stringContaining(text)])
    expect((await logInWith(user, password)).status).toBe(200)
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#oauth-authentication */
test('a reset of cross-signing keys is permitted on the page, once', async () => {
  const { user, visitor, page } = await enter('/account?action=org.matrix.cross_signing_reset')
  const upload = (key: string) => {
    const master_key = { user_id: user.userId, usage: ['master'], keys: { [`ed25519:${key}`]: key } }
    return user.ask('POST', `${v3}/keys/device_signing/upload`, { master_key })
  }
  const keyOf = (letter: string) => `${letter.repeat(42)}A`
  expect((await upload(keyOf('A'))).status).toBe(200)
  expect((await upload(keyOf('B'))).status).toBe(401)
  expect(page.url.pathname).toBe('/account/reset-identity')
  expect((await visitor.submit(page)).title).toBe('The reset is allowed')
  expect((await upload(keyOf('B'))).status).toBe(200)
  expect((await upload(keyOf('C'))).status).toBe(401)
})

describe('deactivation', () => {
  test('needs the name, and ends everything', async () => {
    const { user, visitor } = await enter()
    const page = await visitor.open('/account/deactivate')
    const wrong = await visitor.submit(page, { name: '@bob:example.org' })
    expect([wrong.status, wrong.alert]).toEqual([400, expect.stringContaining('not your user ID')])
    expect(await statusOf(user)).toBe(200)
    const done = await visitor.submit(wrong, { name: user.userId })
    expect([done.status, done.title]).toEqual([200, 'Your account is deactivated'])
    expect(await statusOf(user)).toBe(401)
    expect((await logInWith(user, password)).status).toBe(403)
    expect((await visitor.open('/account')).url.pathname).toBe('/login')
    const taken = await ask(url, {
      method: 'GET',
      path: `${v3}/register/available?username=${user.userId.slice(1).split(':')[0]}`,
    })
    expect(taken.body.errcode).toBe('M_USER_IN_USE')
  })

  test.each([true, false])('erases the profile: %s', async (erase) => {
    const { user, visitor } = await enter()
    await user.put(`${v3}/profile/${user.userId}/displayname`, { displayname: 'Alice' })
    const page = await visitor.open('/account/deactivate')
    const [name] = user.userId.slice(1).split(':')
    const fields = { ...page.forms[0]!.fields, name: name!, ...(erase && { erase: 'on' }) }
    await visitor.open('/account/deactivate', { method: 'POST', body: new URLSearchParams(fields) })
    const profile = await ask(url, { method: 'GET', path: `${v3}/profile/${user.userId}` })
    expect(profile.status).toBe(erase ? 404 : 200)
  })
})

describe('restricted accounts', () => {
  let admin: TestUser
  beforeAll(async () => {
    admin = await registerAdmin(url, sharedSecret)
  })

  test('suspended users manage their account, except the profile', async () => {
    const { user, visitor } = await enter()
    await admin.put(`/_matrix/client/v1/admin/suspend/${user.userId}`, { suspended: true })
    expect((await visitor.open('/account')).text).toContain('suspended')
    const before = await visitor.open('/account/profile')
    expect(before.forms.some(({ fields }) => 'name' in fields)).toBe(false)
    const { csrf } = (await visitor.open('/account/devices')).forms[0]!.fields
    const body = new URLSearchParams({ csrf: csrf!, do: 'name', name: 'Mallory' })
    const page = await visitor.open('/account/profile', { method: 'POST', body })
    expect([page.status, page.alert]).toEqual([403, expect.stringContaining('suspended')])
    const device = await visitor.open(`/account/devices/${user.deviceId}`)
    await visitor.submit(device, {}, { do: 'sign-out' })
    expect(await statusOf(user)).toBe(401)
  })

  test('locked users see why they cannot go on', async () => {
    const { user, visitor } = await enter()
    await admin.put(`/_matrix/client/v1/admin/lock/${user.userId}`, { locked: true })
    for (const path of ['/account', '/account/deactivate', '/account?action=org.matrix.profile']) {
      const page = await visitor.open(path)
      expect([page.status, page.alert]).toEqual([403, expect.stringContaining('locked')])
    }
    await admin.put(`/_matrix/client/v1/admin/lock/${user.userId}`, { locked: false })
    expect((await visitor.open('/account')).status).toBe(200)
  })
})

test('a name that looks like markup stays text, in every place', async () => {
  const { user, visitor } = await enter()
  const markup = `"><script>alert(1)</script>${uniqueName()}`
  await user.put(`${v3}/profile/${user.userId}/displayname`, { displayname: markup })
  await user.put(`${v3}/devices/${user.deviceId}`, { display_name: markup })
  for (const path of ['/account', '/account/profile', '/account/devices', `/account/devices/${user.deviceId}`]) {
    const { text } = await visitor.open(path)
    expect(text).toContain('&#60;script&#62;')
    expect(text).not.toContain('<script>')
  }
})
