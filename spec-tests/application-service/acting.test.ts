import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startAppservice, type TestAppservice } from '../harness/appservice.ts'
import { ask, registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { startHearth, type TestHearth } from '../harness/hearth.ts'

/**
 * Actions of application services by the client-server API.
 * https://spec.matrix.org/v1.19/application-service-api/#client-server-api-extensions
 */
const v3 = '/_matrix/client/v3'
const LOGIN = 'm.login.application_service'

let hearth: TestHearth
let irc: TestAppservice
let other: TestAppservice
let alice: TestUser

beforeAll(async () => {
  irc = await startAppservice('irc', { protocols: ['irc'] })
  other = await startAppservice('other', { url: null, rate_limited: true })
  hearth = await startHearth({
    config: {
      appservices: [irc.registrationFile, other.registrationFile],
      registration: { enabled: true },
      rate_limits: { default: { per_second: 0.01, burst: 20 }, registration: { per_second: 100, burst: 100 } },
    },
  })
  alice = await registerUser(hearth.url)
})
afterAll(async () => {
  await hearth?.dispose()
  await irc?.dispose()
  await other?.dispose()
})

let made = 0
const newName = () => `_irc_user${++made}`
const idOf = (name: string) => `@${name}:hearth.test`
const register = (body: object, by = irc) =>
  by.ask(hearth.url, { method: 'POST', path: `${v3}/register`, body: { type: LOGIN, ...body } })

async function newUser(): Promise<string> {
  const username = newName()
  expect(await register({ username, inhibit_login: true })).toMatchObject({ status: 200 })
  return idOf(username)
}
const as = (user: string, method: string, path: string, body?: unknown) =>
  irc.ask(hearth.url, { method, path, body, as: user })

describe('registration', () => {
  test('gives a user without a password, whom it may log in', async () => {
    const username = newName()
    const { status, body } = await register({ username, device_id: 'D1' })
    expect([status, body.user_id, body.device_id]).toEqual([200, idOf(username), 'D1'])
    expect(
      await ask(hearth.url, { method: 'GET', path: `${v3}/account/whoami`, token: body.access_token }),
    ).toMatchObject({
      body: { user_id: idOf(username), device_id: 'D1' },
    })
    expect(await register({ username })).toMatchObject({ status: 400, body: { errcode: 'M_USER_IN_USE' } })
    const identifier = { type: 'm.id.user', user: username }
    const login = await irc.ask(hearth.url, { method: 'POST', path: `${v3}/login`, body: { type: LOGIN, identifier } })
    expect([login.status, login.body.user_id]).toEqual([200, idOf(username)])
    expect((await ask(hearth.url, { method: 'GET', path: `${v3}/login` })).body.flows).toContainEqual({ type: LOGIN })
  })

  test('without logging in gives no token', async () => {
    const { body } = await register({ username: newName(), inhibit_login: true })
    expect(Object.keys(body).sort()).toEqual(['home_server', 'user_id'])
  })

  test('keeps to namespaces', async () => {
    const exclusive = { status: 400, body: { errcode: 'M_EXCLUSIVE' } }
    expect(await register({ username: uniqueName() })).toMatchObject(exclusive)
    expect(await register({ username: '_other_user' })).toMatchObject(exclusive)
    const username = newName()
    const path = `${v3}/register`
    expect(
      await ask(hearth.url, { method: 'POST', path, body: { username, password: 'correct horse' } }),
    ).toMatchObject(exclusive)
    const available = `${v3}/register/available?username=${username}`
    expect(await ask(hearth.url, { method: 'GET', path: available })).toMatchObject(exclusive)
    const identifier = { type: 'm.id.user', user: alice.userId }
    const login = { method: 'POST', path: `${v3}/login`, body: { type: LOGIN, identifier } }
    expect(await irc.ask(hearth.url, login)).toMatchObject(exclusive)
  })

  test('needs the token', async () => {
    const request = { method: 'POST', path: `${v3}/register`, body: { type: LOGIN, username: newName() } }
    expect(await ask(hearth.url, request)).toMatchObject({ status: 401, body: { errcode: 'M_MISSING_TOKEN' } })
    for (const token of ['garbage', alice.accessToken])
      expect(await ask(hearth.url, { ...request, token })).toMatchObject({
        status: 401,
        body: { errcode: 'M_UNKNOWN_TOKEN' },
      })
  })
})

describe('acting as a user', () => {
  test('is for its own users', async () => {
    const user = await newUser()
    expect(await as(user, 'GET', `${v3}/account/whoami`)).toMatchObject({ status: 200, body: { user_id: user } })
    const own = await irc.ask(hearth.url, { method: 'GET', path: `${v3}/account/whoami` })
    expect(own.body.user_id).toBe('@_irc_bot:hearth.test')
    for (const stranger of [alice.userId, idOf('_irc_nobody'), '@_irc_user:elsewhere.test', 'nonsense'])
      expect(await as(stranger, 'GET', `${v3}/account/whoami`)).toMatchObject({
        status: 403,
        body: { errcode: 'M_FORBIDDEN' },
      })
  })

  test('is for its devices, which it makes and removes without a password', async () => {
    const user = await newUser()
    const device = { method: 'GET', path: `${v3}/account/whoami`, as: user, device: 'PHONE' }
    expect(await irc.ask(hearth.url, device)).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN_DEVICE' } })
    expect((await as(user, 'PUT', `${v3}/devices/PHONE`, { display_name: 'Phone' })).status).toBe(201)
    expect((await as(user, 'PUT', `${v3}/devices/PHONE`, { display_name: 'My phone' })).status).toBe(200)
    expect((await irc.ask(hearth.url, device)).body).toMatchObject({ user_id: user, device_id: 'PHONE' })
    const keys = (seed: string) => ({
      master_key: { user_id: user, usage: ['master'], keys: { [`ed25519:${seed}`]: seed } },
    })
    for (const seed of ['A'.repeat(43), 'Q'.repeat(43)])
      expect((await as(user, 'POST', `${v3}/keys/device_signing/upload`, keys(seed))).status).toBe(200)
    expect((await as(user, 'DELETE', `${v3}/devices/PHONE`, {})).status).toBe(200)
    expect((await as(user, 'GET', `${v3}/devices`)).body).toEqual({ devices: [] })
    expect((await alice.ask('PUT', `${v3}/devices/NEW`, {})).status).toBe(404)
  })

  test('is limited by rate only where its registration does not say otherwise', async () => {
    const user = await newUser()
    for (let i = 0; i < 30; i++) expect((await as(user, 'GET', `${v3}/joined_rooms`)).status).toBe(200)
    const username = `_other_${++made}`
    expect((await register({ username, inhibit_login: true }, other)).status).toBe(200)
    const statuses: number[] = []
    for (let i = 0; i < 30; i++) {
      const request = { method: 'GET', path: `${v3}/joined_rooms`, as: idOf(username) }
      statuses.push((await other.ask(hearth.url, request)).status)
    }
    expect([statuses[0], statuses.at(-1)]).toEqual([200, 429])
  })
})

/** https://spec.matrix.org/v1.19/application-service-api/#timestamp-massaging */
test('it may say when an event was really sent; others may not', async () => {
  const user = await newUser()
  const { room_id: roomId } = (await as(user, 'POST', `${v3}/createRoom`, { preset: 'public_chat' })).body
  const room = `${v3}/rooms/${encodeURIComponent(roomId)}`
  await alice.post(`${room}/join`)
  const content = { msgtype: 'm.text', body: 'long ago' }
  const timeOf = async ({ body }: { body: { event_id: string } }) =>
    (await as(user, 'GET', `${room}/event/${encodeURIComponent(body.event_id)}`)).body.origin_server_ts
  expect(await timeOf(await as(user, 'PUT', `${room}/send/m.room.message/1?ts=1234567`, content))).toBe(1234567)
  expect(await timeOf(await as(user, 'PUT', `${room}/state/m.room.topic?ts=7654321`, { topic: 'then' }))).toBe(7654321)
  const member = `${room}/state/m.room.member/${encodeURIComponent(user)}?ts=4711`
  expect(await timeOf(await as(user, 'PUT', member, { membership: 'join', displayname: 'Old' }))).toBe(4711)
  expect(await timeOf(await alice.ask('PUT', `${room}/send/m.room.message/1?ts=1234567`, content))).toBeGreaterThan(
    1e12,
  )
  for (const ts of ['-1', 'then', '1e3', '99999999999999999', ''])
    expect(await as(user, 'PUT', `${room}/send/m.room.message/x?ts=${ts}`, content)).toMatchObject({
      status: 400,
      body: { errcode: 'M_INVALID_PARAM' },
    })
})

describe('aliases', () => {
  const path = (alias: string) => `${v3}/directory/room/${encodeURIComponent(alias)}`
  const exclusive = { status: 400, body: { errcode: 'M_EXCLUSIVE' } }

  test('in its namespace are its own', async () => {
    const { room_id } = await alice.post(`${v3}/createRoom`, {})
    const alias = `#_irc_${++made}:hearth.test`
    expect(await alice.ask('PUT', path(alias), { room_id })).toMatchObject(exclusive)
    const body = { room_alias_name: `_irc_${++made}` }
    expect(await alice.ask('POST', `${v3}/createRoom`, body)).toMatchObject(exclusive)
    const own = (method: string, target: string) =>
      irc.ask(hearth.url, { method, path: path(target), body: method === 'PUT' ? { room_id } : undefined })
    expect(await own('PUT', `#tea${++made}:hearth.test`)).toMatchObject(exclusive)
    expect((await own('PUT', alias)).status).toBe(200)
    expect(await alice.ask('DELETE', path(alias))).toMatchObject(exclusive)
    expect((await alice.get(path(alias))).room_id).toBe(room_id)
    expect((await own('DELETE', alias)).status).toBe(200)
  })

  test('are its own in the hands of its bot, with a token of the bot itself too', async () => {
    const identifier = { type: 'm.id.user', user: '_irc_bot' }
    const login = await irc.ask(hearth.url, { method: 'POST', path: `${v3}/login`, body: { type: LOGIN, identifier } })
    const askAsBot = (method: string, target: string, body?: unknown) =>
      ask(hearth.url, { method, path: target, token: login.body.access_token, body })
    const name = `_irc_${++made}`
    const { status, body } = await askAsBot('POST', `${v3}/createRoom`, { room_alias_name: name })
    expect([status, (await alice.get(path(`#${name}:hearth.test`))).room_id]).toEqual([200, body.room_id])
    const second = path(`#_irc_${++made}:hearth.test`)
    expect((await askAsBot('PUT', second, { room_id: body.room_id })).status).toBe(200)
    expect((await askAsBot('DELETE', second)).status).toBe(200)
    expect(await askAsBot('PUT', path(`#_other_${++made}:hearth.test`), { room_id: body.room_id })).toMatchObject(
      exclusive,
    )
  })

  test('that do not exist yet are queried', async () => {
    const alias = `#_irc_new${++made}:hearth.test`
    const asked: string[] = []
    irc.respond = async ({ method, path: target }) => {
      asked.push(`${method} ${decodeURIComponent(target)}`)
      if (!target.includes('_irc_new')) return { status: 404 }
      const name = alias.slice(1).split(':')[0]
      const room = { preset: 'public_chat', room_alias_name: name }
      const { status } = await irc.ask(hearth.url, { method: 'POST', path: `${v3}/createRoom`, body: room })
      return { status }
    }
    const { room_id } = await alice.post(`${v3}/join/${encodeURIComponent(alias)}`)
    expect((await alice.get(path(alias))).room_id).toBe(room_id)
    expect(asked).toEqual([`GET /_matrix/app/v1/rooms/${alias}`])
    expect((await alice.ask('GET', path('#_irc_none:hearth.test'))).status).toBe(404)
    expect((await alice.ask('GET', path('#nothing:hearth.test'))).status).toBe(404)
    expect(asked).toHaveLength(3)
  })

  test('are not known while it does not answer', async () => {
    await irc.stop()
    try {
      expect((await alice.ask('GET', path('#_irc_down:hearth.test'))).status).toBe(408)
    } finally {
      await irc.start()
    }
  })
})

/** https://spec.matrix.org/v1.19/application-service-api/#pinging */
test('it can have itself pinged', async () => {
  const ping = (id = 'irc', by = irc) =>
    by.ask(hearth.url, {
      method: 'POST',
      path: `/_matrix/client/v1/appservice/${id}/ping`,
      body: { transaction_id: 'meow' },
    })
  irc.respond = async ({ path, body }) => ({
    status: path === '/_matrix/app/v1/ping' && body.transaction_id === 'meow' ? 200 : 400,
  })
  expect((await ping()).body).toEqual({ duration_ms: expect.any(Number) })
  irc.respond = async () => ({ status: 418, body: { tea: true } })
  expect(await ping()).toMatchObject({
    status: 502,
    body: { errcode: 'M_BAD_STATUS', status: 418, body: '{"tea":true}' },
  })
  await irc.stop()
  expect(await ping()).toMatchObject({ status: 502, body: { errcode: 'M_CONNECTION_FAILED' } })
  await irc.start()
  expect(await ping('other')).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  expect(await ping('other', other)).toMatchObject({ status: 400, body: { errcode: 'M_URL_NOT_SET' } })
  expect((await alice.ask('POST', '/_matrix/client/v1/appservice/irc/ping', {})).status).toBe(403)
})

/** https://spec.matrix.org/v1.19/application-service-api/#third-party-networks */
test('it leads to its network, and lists rooms there', async () => {
  const described = {
    user_fields: ['nick'],
    location_fields: ['channel'],
    icon: '',
    field_types: { nick: { regexp: '.*', placeholder: 'nick' }, channel: { regexp: '#.*', placeholder: '#tea' } },
    // A bridge to a single network may omit its ID.
    instances: [
      { network_id: 'libera', desc: 'Libera', fields: {} },
      { desc: 'All', fields: {} },
    ],
  }
  const user = { userid: '@_irc_bob:hearth.test', protocol: 'irc', fields: { nick: 'bob' } }
  const location = { alias: '#_irc_tea:hearth.test', protocol: 'irc', fields: { channel: '#tea' } }
  irc.respond = async ({ path, query }) => {
    const what = path.replace('/_matrix/app/v1/thirdparty/', '')
    if (what === 'protocol/irc') return { status: 200, body: described }
    if (what === 'user/irc') return { status: 200, body: query.toString() === 'nick=bob' ? [user] : [] }
    if (what === 'location/irc') return { status: 200, body: [location, 'nonsense'] }
    if (what === 'user') return { status: 200, body: query.get('userid') === user.userid ? [user] : [] }
    if (what === 'location') return { status: 200, body: [location] }
    return { status: 404 }
  }
  const network = `${v3}/thirdparty`
  const instances = [
    { ...described.instances[0], instance_id: 'irc|libera' },
    { ...described.instances[1], network_id: 'irc', instance_id: 'irc|irc' },
  ]
  expect(await alice.get(`${network}/protocols`)).toEqual({ irc: { ...described, instances } })
  expect((await alice.get(`${network}/protocol/irc`)).instances).toEqual(instances)
  expect((await alice.ask('GET', `${network}/protocol/smoke`)).status).toBe(404)
  expect(await alice.get(`${network}/user/irc?nick=bob`)).toEqual([user])
  expect((await alice.ask('GET', `${network}/user/irc?nick=eve`)).status).toBe(404)
  expect(await alice.get(`${network}/location/irc?channel=%23tea`)).toEqual([location])
  expect(await alice.get(`${network}/user?userid=${encodeURIComponent(user.userid)}`)).toEqual([user])
  expect(await alice.get(`${network}/location?alias=${encodeURIComponent(location.alias)}`)).toEqual([location])
  expect((await alice.ask('GET', `${network}/location?alias=${encodeURIComponent('#tea:hearth.test')}`)).status).toBe(
    404,
  )

  const { room_id: roomId } = await alice.post(`${v3}/createRoom`, { preset: 'public_chat' })
  const list = (visibility: string) =>
    irc.ask(hearth.url, {
      method: 'PUT',
      path: `${v3}/directory/list/appservice/libera/${encodeURIComponent(roomId)}`,
      body: { visibility },
    })
  const listed = async (body: object) =>
    (await alice.post(`${v3}/publicRooms`, body)).chunk.map(({ room_id }: { room_id: string }) => room_id)
  const there = { third_party_instance_id: 'irc|libera' }
  expect(await listed(there)).toEqual([])
  expect((await list('public')).status).toBe(200)
  expect(await listed(there)).toEqual([roomId])
  expect(await listed({})).not.toContain(roomId)
  expect(await listed({ include_all_networks: true })).toContain(roomId)
  expect((await list('private')).status).toBe(200)
  expect(await listed(there)).toEqual([])
  const own = `${v3}/directory/list/appservice/libera/${encodeURIComponent(roomId)}`
  expect((await alice.ask('PUT', own, { visibility: 'public' })).status).toBe(403)
})
