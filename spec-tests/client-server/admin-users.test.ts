import { beforeAll, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import {
  ask,
  logIn,
  outcomeOf,
  registerAdmin,
  registerUser,
  sendText,
  type TestUser,
  uniqueName,
} from '../harness/client.ts'
import { createRoom, joinRoom, roomPath } from '../harness/rooms.ts'

/** Users in Synapse's admin API: https://element-hq.github.io/synapse/latest/admin_api/user_admin_api.html */
const { url, sharedSecret } = inject('homeserver')
const v1 = (path: string) => `/_synapse/admin/v1/${path}`
const v2 = (path: string) => `/_synapse/admin/v2/${path}`
const of = ({ userId }: { userId: string }) => encodeURIComponent(userId)
const localpart = ({ userId }: { userId: string }) => userId.slice(1).split(':')[0]!
const password = 'correct horse battery'
const whoami = (token: string) => ask(url, { method: 'GET', path: '/_matrix/client/v3/account/whoami', token })
const tryLogIn = async (user: string, secret: string) => {
  const body = { type: 'm.login.password', identifier: { type: 'm.id.user', user }, password: secret }
  return (await ask(url, { method: 'POST', path: '/_matrix/client/v3/login', body })).status
}

let admin: TestUser
let server: string
beforeAll(async () => {
  admin = await registerAdmin(url, sharedSecret)
  server = admin.userId.split(':').slice(1).join(':')
})

const listed = (userId: string) => ({
  ...{ name: userId, displayname: localpart({ userId }), avatar_url: null, is_guest: false, admin: false },
  ...{ deactivated: false, erased: false, locked: false, suspended: false, shadow_banned: false, user_type: null },
  ...{ creation_ts: expect.any(Number), last_seen_ts: expect.toSatisfy((ts) => ts === null || ts > 0) },
  appservice_id: null,
})
const described = (userId: string) => ({
  ...listed(userId),
  ...{ consent_version: null, consent_ts: null, consent_server_notice_sent: null, threepids: [], external_ids: [] },
})

describe('the list of users', () => {
  test('has filters, orders and pages', async () => {
    const prefix = uniqueName('list')
    const users = await Promise.all(['a', 'b', 'c', 'd'].map((name) => registerUser(url, `${prefix}-${name}`)))
    const [a, b, c, d] = users.map(({ userId }) => userId) as [string, string, string, string]
    await admin.put(v2(`users/${encodeURIComponent(b)}`), { displayname: `${prefix} Zoé`, user_type: 'bot' })
    await admin.post(v1(`deactivate/${encodeURIComponent(c)}`))
    await admin.put(v2(`users/${encodeURIComponent(d)}`), { locked: true })
    const list = async (version: 'v2' | 'v3', query: string) => {
      const page = await admin.get(`/_synapse/admin/${version}/users?name=${prefix}&${query}`)
      return { ...page, users: page.users.map(({ name }: { name: string }) => name) }
    }
    expect((await list('v2', '')).users).toEqual([a, b])
    expect((await list('v2', 'deactivated=true&locked=true')).users).toEqual([a, b, c, d])
    expect((await list('v3', '')).users).toEqual([a, b, c])
    expect((await list('v3', 'deactivated=true')).users).toEqual([c])
    expect((await list('v3', 'deactivated=false&locked=true')).users).toEqual([a, b, d])
    expect((await list('v2', 'dir=b')).users).toEqual([b, a])
    expect((await list('v2', 'order_by=displayname')).users).toHaveLength(2)
    for (const order of ['is_guest', 'admin', 'deactivated', 'user_type', 'avatar_url', 'shadow_banned', 'creation_ts'])
      expect((await list('v2', `order_by=${order}`)).total).toBe(2)
    expect((await list('v2', 'order_by=last_seen_ts&dir=b')).total).toBe(2)
    expect((await list('v2', 'not_user_type=bot')).users).toEqual([a])
    expect((await list('v2', 'not_user_type=bot&not_user_type=')).users).toEqual([])
    expect((await list('v2', 'admins=true')).users).toEqual([])
    expect((await list('v2', 'suspended=true&guests=false')).users).toEqual([])
    expect((await admin.get(v2(`users?name=${prefix}%20zo%C3%A9`))).users[0].name).toBe(b)
    expect((await admin.get(v2(`users?user_id=${prefix}-A`))).users).toEqual([listed(a)])
    const first = await list('v3', 'limit=2')
    expect(first).toEqual({ users: [a, b], total: 3, next_token: '2' })
    expect(await list('v3', 'limit=2&from=2')).toEqual({ users: [c], total: 3 })
    expect(await admin.get(v1(`search_users/${of(admin)}?term=${prefix}-a`))).toEqual([
      { name: a, is_guest: false, admin: false, user_type: null },
    ])
    expect((await admin.ask('GET', v2('users?order_by=height'))).status).toBe(400)
  })
})

describe('an account', () => {
  test('is created and changed by PUT', async () => {
    const userId = `@${uniqueName('put')}:${server}`
    const path = v2(`users/${encodeURIComponent(userId)}`)
    const address = `${uniqueName()}@example.org`
    const threepids = [{ medium: 'email', address }]
    const made = await admin.ask('PUT', path, { password, displayname: 'Put', threepids, user_type: 'support' })
    const threepid = { medium: 'email', address, added_at: expect.any(Number), validated_at: expect.any(Number) }
    const user = { ...described(userId), displayname: 'Put', user_type: 'support', threepids: [threepid] }
    expect([made.status, made.body]).toEqual([201, user])
    expect(await admin.get(path)).toEqual(user)
    expect(await tryLogIn(userId, password)).toBe(200)
    expect(await admin.get(v1(`threepid/email/users/${encodeURIComponent(address)}`))).toEqual({ user_id: userId })
    expect(await outcomeOf(admin, 'PUT', v2(`users/${of(admin)}`), { threepids })).toEqual([400, 'M_THREEPID_IN_USE'])

    const changed = await admin.ask('PUT', path, {
      ...{ displayname: '', avatar_url: 'mxc://example.org/a', admin: true, user_type: null, threepids: [] },
    })
    const after = { displayname: null, avatar_url: 'mxc://example.org/a', admin: true, threepids: [], user_type: null }
    expect([changed.status, changed.body]).toEqual([200, { ...user, ...after }])
    const [status] = await outcomeOf(admin, 'GET', v1(`threepid/email/users/${encodeURIComponent(address)}`))
    expect(status).toBe(404)
    const links = { external_ids: [{ auth_provider: 'nobody', external_id: 'x' }] }
    expect(await outcomeOf(admin, 'PUT', path, links)).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcomeOf(admin, 'GET', v1('auth_providers/nobody/users/x'))).toEqual([404, 'M_NOT_FOUND'])
  })

  test('is created by one of two simultaneous PUTs, and changed by the other', async () => {
    const path = v2(`users/${encodeURIComponent(`@${uniqueName('race')}:${server}`)}`)
    const answers = await Promise.all(
      [{ displayname: 'A' }, { user_type: 'bot' }].map((body) => admin.ask('PUT', path, body)),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 201])
    expect(await admin.get(path)).toMatchObject({ displayname: 'A', user_type: 'bot' })
  })

  test('gets no address while it is deactivated, but a new display name', async () => {
    const user = await registerUser(url)
    const path = v2(`users/${of(user)}`)
    await admin.post(v1(`deactivate/${of(user)}`))
    const threepids = [{ medium: 'email', address: `${uniqueName()}@example.org` }]
    expect(await outcomeOf(admin, 'PUT', path, { threepids, displayname: 'Half' })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await admin.get(path)).toMatchObject({ threepids: [], displayname: localpart(user) })
    const renamed = await admin.ask('PUT', path, { displayname: '', threepids: '', external_ids: [] })
    expect([renamed.status, renamed.body]).toMatchObject([200, { displayname: null, deactivated: true }])
    expect((await admin.ask('PUT', path, { threepids, deactivated: false, password })).body).toMatchObject({
      ...{ deactivated: false, threepids },
    })
  })

  test('keeps its sessions at a new password only if that is asked for', async () => {
    const user = await registerUser(url)
    const path = v2(`users/${of(user)}`)
    await admin.put(path, { password: 'another horse battery', logout_devices: false })
    expect((await whoami(user.accessToken)).status).toBe(200)
    await admin.post(v1(`reset_password/${of(user)}`), { new_password: 'third horse battery', logout_devices: true })
    expect((await whoami(user.accessToken)).status).toBe(401)
    expect(await tryLogIn(user.userId, 'third horse battery')).toBe(200)
    expect(await outcomeOf(admin, 'POST', v1(`reset_password/${of(user)}`), { new_password: 'x' })).toEqual([
      ...[400, 'M_WEAK_PASSWORD'],
    ])
  })

  test('changes as a whole or not at all', async () => {
    const user = await registerUser(url)
    const path = v2(`users/${of(user)}`)
    const change = {
      displayname: 'Half',
      password: 'another horse battery',
      threepids: [{ medium: 'email', address: 'x' }],
    }
    expect(await outcomeOf(admin, 'PUT', path, change)).toEqual([400, 'M_INVALID_PARAM'])
    expect(await admin.get(path)).toEqual(described(user.userId))
    expect((await whoami(user.accessToken)).status).toBe(200)
    const nobody = `@${uniqueName('never')}:${server}`
    expect((await admin.ask('PUT', v2(`users/${encodeURIComponent(nobody)}`), change)).status).toBe(400)
    expect(await outcomeOf(admin, 'GET', v2(`users/${encodeURIComponent(nobody)}`))).toEqual([404, 'M_NOT_FOUND'])
  })

  test('is deactivated, erased, and reactivated with a new password', async () => {
    const [user, friend] = await Promise.all([registerUser(url), registerUser(url)])
    const roomId = await createRoom(friend)
    await joinRoom(roomId, user)
    const eventId = await sendText(user, roomId, 'mine')
    expect(await admin.post(v1(`deactivate/${of(user)}`), { erase: true })).toEqual({
      id_server_unbind_result: 'success',
    })
    expect((await whoami(user.accessToken)).status).toBe(401)
    const ended = { deactivated: true, erased: true, displayname: null }
    expect(await admin.get(v2(`users/${of(user)}`))).toMatchObject(ended)
    await pollUntil('the user has left', async () => {
      const { memberships } = await admin.get(v1(`users/${of(user)}/memberships`))
      return memberships[roomId] !== 'join'
    })
    const late = await registerUser(url)
    await joinRoom(roomId, late)
    const seen = async () => (await late.get(roomPath(roomId, `event/${encodeURIComponent(eventId)}`))).content
    expect(await seen()).toEqual({})
    const path = v2(`users/${of(user)}`)
    expect(await outcomeOf(admin, 'PUT', path, { deactivated: false })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcomeOf(admin, 'PUT', path, { deactivated: true, locked: true })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await admin.put(path, { deactivated: false, password })).toMatchObject({ deactivated: false, erased: false })
    const again = await logIn(url, localpart(user), 'again')
    await joinRoom(roomId, again)
    await pollUntil('all processes show the events', async () => (await seen()).body === 'mine')
    await admin.put(path, { deactivated: true })
    expect(await tryLogIn(user.userId, password)).toBe(403)
  })

  test('is locked, suspended, and made an administrator', async () => {
    const user = await registerUser(url)
    await admin.put(v2(`users/${of(user)}`), { locked: true })
    expect((await whoami(user.accessToken)).body.errcode).toBe('M_USER_LOCKED')
    await admin.put(v2(`users/${of(user)}`), { locked: false })
    const suspended = { [`user_${user.userId}_suspended`]: true }
    expect(await admin.put(v1(`suspend/${of(user)}`), { suspend: true })).toEqual(suspended)
    expect(await admin.get(v2(`users/${of(user)}`))).toMatchObject({ suspended: true, locked: false })
    await admin.put(v1(`suspend/${of(user)}`), { suspend: false })
    expect(await admin.get(v1(`users/${of(user)}/admin`))).toEqual({ admin: false })
    await admin.put(v1(`users/${of(user)}/admin`), { admin: true })
    expect(await user.get(v1(`users/${of(user)}/admin`))).toEqual({ admin: true })
    for (const [path, body] of [
      [v1(`users/${of(user)}/admin`), {}],
      [v2(`users/${of(user)}`), { locked: false }],
    ] as const)
      expect(await outcomeOf(user, 'PUT', path, { admin: false, ...body })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcomeOf(admin, 'PUT', v2(`users/${of(user)}`), { locked: true })).toEqual([403, 'M_FORBIDDEN'])
    await admin.put(v1(`users/${of(user)}/admin`), { admin: false })
    expect(await outcomeOf(user, 'GET', v1(`users/${of(user)}/admin`))).toEqual([403, 'M_FORBIDDEN'])
  })

  test('can be used by an administrator, until a time', async () => {
    const user = await registerUser(url)
    const path = v1(`users/${of(user)}/login`)
    const { access_token: token } = await admin.post(path)
    expect((await whoami(token)).body).toEqual({ user_id: user.userId, is_guest: false })
    const brief = await admin.post(path, { valid_until_ms: Date.now() + 1500 })
    await pollUntil('the token ends', async () => (await whoami(brief.access_token)).status === 401)
    await admin.post(path, { valid_until_ms: null })
    expect(await outcomeOf(admin, 'POST', path, { valid_until_ms: 1 })).toEqual([400, 'M_INVALID_PARAM'])
    expect(await outcomeOf(admin, 'POST', v1(`users/${of(admin)}/login`))).toEqual([400, 'M_INVALID_PARAM'])
    await user.post('/_matrix/client/v3/logout/all')
    expect((await whoami(token)).status).toBe(401)
  })

  test('has devices that administrators manage', async () => {
    const user = await registerUser(url)
    const path = v2(`users/${of(user)}/devices`)
    const device = { device_id: user.deviceId, user_id: user.userId, display_name: null, dehydrated: false }
    const seen = {
      last_seen_ip: expect.anything(),
      last_seen_ts: expect.anything(),
      last_seen_user_agent: expect.anything(),
    }
    await user.get('/_matrix/client/v3/account/whoami')
    const list = await pollUntil('the device was seen', async () => {
      const found = await admin.get(path)
      return found.devices[0].last_seen_ts !== null && found
    })
    expect(list).toEqual({ devices: [{ ...device, ...seen }], total: 1 })
    expect((await admin.ask('POST', path, { device_id: 'NEW' })).status).toBe(201)
    await admin.put(`${path}/NEW`, { display_name: 'New' })
    expect(await admin.get(`${path}/NEW`)).toMatchObject({ device_id: 'NEW', display_name: 'New' })
    await admin.ask('DELETE', `${path}/NEW`)
    expect(await outcomeOf(admin, 'GET', `${path}/NEW`)).toEqual([404, 'M_NOT_FOUND'])
    const connection = { ip: expect.any(String), last_seen: expect.any(Number), user_agent: expect.any(String) }
    const whois = { user_id: user.userId, devices: { '': { sessions: [{ connections: [connection] }] } } }
    expect(await admin.get(v1(`whois/${of(user)}`))).toEqual(whois)
    await admin.post(v2(`users/${of(user)}/delete_devices`), { devices: [user.deviceId] })
    expect((await whoami(user.accessToken)).status).toBe(401)
  })

  test('has rooms, pushers and account data', async () => {
    const [user, friend] = await Promise.all([registerUser(url), registerUser(url)])
    const [roomId, left] = [await createRoom(user), await createRoom(user)]
    await user.post(roomPath(roomId, 'invite'), { user_id: friend.userId, reason: 'with a \u0000' })
    await user.post(roomPath(left, 'leave'))
    await user.put(`/_matrix/client/v3/user/${of(user)}/account_data/x.y`, { a: 1 })
    await user.put(`/_matrix/client/v3/user/${of(user)}/rooms/${encodeURIComponent(roomId)}/account_data/x.z`, { b: 2 })
    const pusher = {
      ...{
        kind: 'http',
        app_id: 'a',
        pushkey: uniqueName(),
        app_display_name: 'A',
        device_display_name: 'D',
        lang: 'en',
      },
      data: { url: 'https://push.example.org/_matrix/push/v1/notify' },
    }
    await user.post('/_matrix/client/v3/pushers/set', pusher)
    expect(await admin.get(v1(`users/${of(user)}/joined_rooms`))).toEqual({ joined_rooms: [roomId], total: 1 })
    expect(await admin.get(v1(`users/${of(user)}/memberships`))).toEqual({
      memberships: { [roomId]: 'join', [left]: 'leave' },
    })
    expect(await admin.get(v1(`users/${of(user)}/pushers`))).toEqual({ pushers: [pusher], total: 1 })
    const data = await admin.get(v1(`users/${of(user)}/accountdata`))
    expect(data.account_data).toEqual({ global: { 'x.y': { a: 1 } }, rooms: { [roomId]: { 'x.z': { b: 2 } } } })
    expect(await admin.get(v1(`users/${of(user)}/sent_invite_count?from_ts=0`))).toEqual({ invite_count: 1 })
    const joined = v1(`users/${of(user)}/cumulative_joined_room_count`)
    expect(await admin.get(joined)).toEqual({ cumulative_joined_room_count: 2 })
    expect(await admin.get(`${joined}?from_ts=${Date.now() + 60_000}`)).toEqual({ cumulative_joined_room_count: 0 })
  })

  test('can have a limit of its own, and says what it has of experiments', async () => {
    const user = await registerUser(url)
    const path = v1(`users/${of(user)}/override_ratelimit`)
    expect(await admin.get(path)).toEqual({})
    const limit = { messages_per_second: 1, burst_count: 2 }
    expect(await admin.post(path, limit)).toEqual(limit)
    expect(await admin.get(path)).toEqual(limit)
    await admin.ask('DELETE', path)
    expect(await admin.get(path)).toEqual({})
    expect(await outcomeOf(admin, 'POST', path, { messages_per_second: -1 })).toEqual([400, expect.any(String)])
    const features = v1(`experimental_features/${of(user)}`)
    expect((await admin.get(features)).features).toMatchObject({ msc3575: true })
    expect(await outcomeOf(admin, 'PUT', features, { features: { msc1: true } })).toEqual([400, 'M_INVALID_PARAM'])
    const reset = v1(`users/${of(user)}/_allow_cross_signing_replacement_without_uia`)
    expect(await outcomeOf(admin, 'POST', reset)).toEqual([404, 'M_NOT_FOUND'])
  })
})

describe('every endpoint about a user', () => {
  const paths: [method: string, path: (user: string) => string, body?: object][] = [
    ['GET', (user) => v2(`users/${user}`)],
    ['POST', (user) => v1(`deactivate/${user}`), {}],
    ['PUT', (user) => v1(`suspend/${user}`), { suspend: true }],
    ['GET', (user) => v1(`users/${user}/admin`)],
    ['PUT', (user) => v1(`users/${user}/admin`), { admin: true }],
    ['POST', (user) => v1(`reset_password/${user}`), { new_password: password }],
    ['POST', (user) => v1(`users/${user}/login`), {}],
    ['GET', (user) => v2(`users/${user}/devices`)],
    ['POST', (user) => v2(`users/${user}/devices`), { device_id: 'X' }],
    ['GET', (user) => v2(`users/${user}/devices/X`)],
    ['PUT', (user) => v2(`users/${user}/devices/X`), {}],
    ['DELETE', (user) => v2(`users/${user}/devices/X`)],
    ['POST', (user) => v2(`users/${user}/delete_devices`), { devices: [] }],
    ['GET', (user) => v1(`whois/${user}`)],
    ['GET', (user) => v1(`users/${user}/memberships`)],
    ['GET', (user) => v1(`users/${user}/pushers`)],
    ['GET', (user) => v1(`users/${user}/accountdata`)],
    ['GET', (user) => v1(`users/${user}/sent_invite_count`)],
    ['GET', (user) => v1(`users/${user}/cumulative_joined_room_count`)],
    ['GET', (user) => v1(`users/${user}/override_ratelimit`)],
    ['POST', (user) => v1(`users/${user}/override_ratelimit`), {}],
    ['DELETE', (user) => v1(`users/${user}/override_ratelimit`)],
    ['POST', (user) => v1(`users/${user}/_allow_cross_signing_replacement_without_uia`), {}],
    ['GET', (user) => v1(`experimental_features/${user}`)],
  ]

  test('refuses other users, remote and unknown accounts', async () => {
    const user = await registerUser(url)
    const unknown = encodeURIComponent(`@${uniqueName('unknown')}:${server}`)
    const remote = encodeURIComponent('@someone:elsewhere.example')
    for (const [method, pathOf, body] of paths) {
      const what = `${method} ${pathOf(':userId')}`
      expect([what, ...(await outcomeOf(user, method, pathOf(of(user)), body))]).toEqual([what, 403, 'M_FORBIDDEN'])
      expect([what, ...(await outcomeOf(admin, method, pathOf(remote), body))]).toEqual([what, 400, 'M_INVALID_PARAM'])
      expect([what, ...(await outcomeOf(admin, method, pathOf(unknown), body))]).toEqual([what, 404, 'M_NOT_FOUND'])
    }
    expect(await outcomeOf(user, 'GET', v2('users'))).toEqual([403, 'M_FORBIDDEN'])
    expect(await outcomeOf(user, 'PUT', v2(`users/${unknown}`), {})).toEqual([403, 'M_FORBIDDEN'])
    expect(await outcomeOf(admin, 'PUT', v2(`users/${remote}`), {})).toEqual([400, 'M_INVALID_PARAM'])
  })
})
