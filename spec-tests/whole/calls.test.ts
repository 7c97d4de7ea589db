import { createHash, randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Answer, ask, registerUser, type TestUser } from '../harness/client.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type Claims, type LivekitRooms, startLivekitRooms, verifiedClaims } from '../harness/livekit-rooms.ts'
import { createRoom, roomPath, v3 } from '../harness/rooms.ts'

/** Group calls: https://github.com/matrix-org/matrix-spec-proposals/pull/4195 */
const URL = 'wss://livekit.example.org'
const SLOT = 'm.call#ROOM'
const TRANSPORTS = ['/_matrix/client/v1/rtc/transports', '/_matrix/client/unstable/org.matrix.msc4143/rtc/transports']
const TOKEN_PATHS = [
  '/_matrix/client/v1/rtc/livekit/get_token',
  '/_matrix/client/unstable/io.element.msc4195/rtc/livekit/get_token',
]

let federation: TestFederation
let livekit: LivekitRooms
/** With LiveKit. */
let here: TestHearth
/** Without, and without delayed events. */
let there: TestHearth
let alice: TestUser
/** Not in the room. */
let oscar: TestUser
/** A remote user in the room, and one who is not. */
let rita: TestUser
let ruth: TestUser
let roomId: string

beforeAll(async () => {
  livekit = await startLivekitRooms()
  federation = await startFederation()
  const { apiKey: api_key, secret: api_secret, apiUrl: api_url } = livekit
  here = await federation.hearth({ config: { calls: { livekit: { url: `${URL}/`, api_key, api_secret, api_url } } } })
  there = await federation.hearth({ config: { delayed_events: { max_delay: '0s' } } })
  alice = await registerUser(here.url)
  oscar = await registerUser(here.url)
  rita = await registerUser(there.url)
  ruth = await registerUser(there.url)
  roomId = await createRoom(alice, { preset: 'public_chat' })
  await rita.post(`${v3}/join/${encodeURIComponent(roomId)}?server_name=${here.serverName}`)
})
afterAll(async () => {
  await federation?.dispose()
  await livekit?.stop()
})
beforeEach(() => {
  livekit.behave('properly')
  livekit.created.length = 0
})

const hashOf = (names: string[]) =>
  createHash('sha256').update(JSON.stringify(names)).digest('base64').replaceAll('=', '')

async function openIdToken(user: TestUser): Promise<Record<string, unknown>> {
  return user.post(`${v3}/user/${encodeURIComponent(user.userId)}/openid/request_token`)
}

const askService = (path: string, body: unknown): Promise<Answer> =>
  ask(here.url, { method: 'POST', path: `/livekit/jwt${path}`, body: body as object })

type Way = {
  request(user: TestUser, changes?: object): Promise<Answer>
  identity(user: TestUser): string
}

const clientWay = (path: string, form: (user: TestUser) => object): Way => ({
  request: (user, changes) =>
    user.ask('POST', path, { room_id: roomId, slot_id: SLOT, url: URL, ...form(user), ...changes }),
  identity: ({ userId, deviceId }) => hashOf([userId, deviceId, 'member 1']),
})

const WAYS: Record<string, Way> = {
  '/sfu/get': {
    async request(user, changes) {
      const { deviceId: device_id } = user
      return askService('/sfu/get', { room: roomId, openid_token: await openIdToken(user), device_id, ...changes })
    },
    identity: ({ userId, deviceId }) => `${userId}:${deviceId}`,
  },
  '/get_token': {
    async request(user, changes) {
      const member = { id: 'member 1', claimed_user_id: user.userId, claimed_device_id: user.deviceId }
      const openid_token = await openIdToken(user)
      return askService('/get_token', { room_id: roomId, slot_id: SLOT, openid_token, member, ...changes })
    },
    identity: ({ userId, deviceId }) => hashOf([userId, deviceId, 'member 1']),
  },
  'the client API': clientWay(TOKEN_PATHS[0]!, () => ({ member_id: 'member 1' })),
  'the client API in its first version': clientWay(TOKEN_PATHS[1]!, ({ deviceId }) => ({
    member: { id: 'member 1', claimed_device_id: deviceId },
  })),
}
const SERVICE_WAYS = ['/sfu/get', '/get_token']

function claimsOf(answer: Answer): Claims {
  expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ jwt: expect.any(String) })])
  const claims = verifiedClaims(answer.body.jwt, livekit.secret)
  expect(claims).toMatchObject({ iss: livekit.apiKey })
  return claims!
}

describe('transports', () => {
  test.each(TRANSPORTS)('%s names LiveKit and the token service, as the well-known file does', async (path) => {
    const { rtc_transports } = await alice.get(path)
    expect(rtc_transports).toEqual([{ type: 'livekit', livekit_service_url: `${here.url}/livekit/jwt`, url: URL }])
    const { body } = await ask(here.url, { method: 'GET', path: '/.well-known/matrix/client' })
    expect(body['org.matrix.msc4143.rtc_foci']).toEqual(rtc_transports)
    expect((await ask(here.url, { method: 'GET', path })).status).toBe(401)
  })

  test.each(TRANSPORTS)('%s is unknown without LiveKit', async (path) => {
    expect(await rita.ask('GET', path)).toMatchObject({ status: 404, body: { errcode: 'M_UNRECOGNIZED' } })
    const { body } = await ask(there.url, { method: 'GET', path: '/.well-known/matrix/client' })
    expect(Object.keys(body)).toEqual(['m.homeserver'])
  })
})

describe.each(Object.entries(WAYS))('a token by %s', (_, way) => {
  test('lets a joined user publish and subscribe, in a room that is created before', async () => {
    const claims = claimsOf(await way.request(alice))
    expect(claims.sub).toBe(way.identity(alice))
    expect(claims.exp - claims.nbf).toBe(3600)
    const room = hashOf([roomId, SLOT])
    const publishes = { canPublish: true, canSubscribe: true, canUpdateOwnMetadata: true }
    expect(claims.video).toEqual({ roomJoin: true, roomCreate: false, ...publishes, room })
    expect(livekit.created).toEqual([{ name: room, empty_timeout: 300, departure_timeout: 20 }])
  })

  test('is refused to a user who is not joined, and no room is created', async () => {
    expect(await way.request(oscar)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(livekit.created).toEqual([])
  })

  test.each(['not at all', 'with an error'] as const)('fails while LiveKit answers %s', async (how) => {
    livekit.behave(how)
    expect(await way.request(alice)).toMatchObject({ status: 502, body: { errcode: 'M_UNKNOWN' } })
  })
})

describe.each(SERVICE_WAYS)('the token service at %s', (path) => {
  const way = WAYS[path]!

  test('names the URL, and lets remote users join existing rooms', async () => {
    const answer = await way.request(rita)
    expect(claimsOf(answer)).toMatchObject({ sub: way.identity(rita), video: { roomCreate: false, canPublish: true } })
    expect(answer.body.url).toBe(URL)
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
    expect(livekit.created).toEqual([])
    expect(await way.request(ruth)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
  })

  test('refuses OpenID tokens that the server they name does not confirm', async () => {
    const real = await openIdToken(alice)
    const bad = [
      { ...real, access_token: 'guess' },
      { ...real, access_token: alice.accessToken },
      { ...real, matrix_server_name: there.serverName },
      { ...real, matrix_server_name: 'localhost:1' },
      { ...(await openIdToken(rita)), matrix_server_name: here.serverName },
    ]
    for (const openid_token of bad) {
      const answer = await way.request(alice, { openid_token })
      expect(answer).toMatchObject({ status: 401, body: { errcode: 'M_UNAUTHORIZED' } })
    }
    expect(livekit.created).toEqual([])
  })

  test('refuses bodies of a wrong form', async () => {
    const wrong = [
      { openid_token: undefined },
      { openid_token: 'token' },
      { openid_token: { access_token: 'x', matrix_server_name: 'not a name' } },
      path === '/sfu/get' ? { room: 'not a room' } : { room_id: 'not a room' },
      path === '/sfu/get' ? { device_id: undefined } : { member: { id: 'member 1' } },
    ]
    for (const changes of wrong) {
      expect(await way.request(alice, changes)).toMatchObject({ status: 400, body: { errcode: 'M_BAD_JSON' } })
    }
    const answer = await fetch(`${here.url}/livekit/jwt${path}`, { method: 'POST', body: '{' })
    expect([answer.status, await answer.json()]).toEqual([400, expect.objectContaining({ errcode: 'M_NOT_JSON' })])
    expect(answer.headers.get('access-control-allow-origin')).toBe('*')
  })
})

test('the token service refuses a claim to be another user', async () => {
  const member = { id: 'member 1', claimed_user_id: oscar.userId, claimed_device_id: 'A' }
  expect(await WAYS['/get_token']!.request(alice, { member })).toMatchObject({ status: 401 })
})

test('the token service is there for browsers, says that it is well, and is unknown without LiveKit', async () => {
  expect((await ask(here.url, { method: 'GET', path: '/livekit/jwt/healthz' })).status).toBe(200)
  const preflight = await fetch(`${here.url}/livekit/jwt/get_token`, { method: 'OPTIONS' })
  expect([preflight.ok, preflight.headers.get('access-control-allow-origin')]).toEqual([true, '*'])
  // By this, clients know that they cannot hand over their leave events.
  const handOver = ['/livekit/jwt/delegate_delayed_leave', '/_matrix/client/v1/rtc/livekit/delegate_delayed_leave']
  for (const path of ['/livekit/jwt/sfu/get', ...handOver]) {
    const answer = await ask(there.url, { method: 'POST', path, body: {} })
    expect(answer).toMatchObject({ status: 404, body: { errcode: 'M_UNRECOGNIZED' } })
  }
})

describe('the LiveKit of another server', () => {
  const way = WAYS['the client API']!
  const throughOwn = (user: TestUser, changes?: object) =>
    way.request(user, { server_name: here.serverName, ...changes })

  test('lets a remote user only subscribe', async () => {
    const claims = claimsOf(await throughOwn(rita))
    const room = hashOf([roomId, SLOT])
    const subscribes = { canPublish: false, canPublishData: false, canSubscribe: true }
    expect(claims.video).toEqual({ roomJoin: true, roomCreate: false, ...subscribes, room })
    expect(claims.sub).toBe(way.identity(rita))
    expect(livekit.created).toEqual([])
  })

  test('refuses users and servers that are not in the room', async () => {
    expect(await throughOwn(ruth)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    const elsewhere = await createRoom(rita)
    const refused = await throughOwn(rita, { room_id: elsewhere })
    expect(refused).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(livekit.created).toEqual([])
  })

  test('is not found at another URL', async () => {
    const answer = await throughOwn(rita, { url: 'wss://other.example.org' })
    expect(answer).toMatchObject({ status: 400, body: { errcode: 'M_INVALID_PARAM' } })
    expect((await way.request(alice, { url: 'wss://other.example.org' })).status).toBe(400)
  })

  test('does not exist at a server without, so that clients use what else it has', async () => {
    expect(await way.request(rita)).toMatchObject({ status: 404, body: { errcode: 'M_UNRECOGNIZED' } })
    const answer = await way.request(alice, { server_name: there.serverName })
    expect(answer).toMatchObject({ status: 404, body: { errcode: 'M_UNRECOGNIZED' } })
    expect((await way.request(alice, { server_name: 'localhost:1' })).status).toBe(502)
  })
})

test('a user who has left gets no token', async () => {
  const bob = await registerUser(here.url)
  await bob.post(roomPath(roomId, 'join'))
  for (const { request } of Object.values(WAYS)) claimsOf(await request(bob))
  await bob.post(roomPath(roomId, 'leave'))
  for (const { request } of Object.values(WAYS)) expect((await request(bob)).status).toBe(403)
})

/** https://github.com/matrix-org/matrix-spec-proposals/pull/4140 */
test('delayed events are announced only where they are accepted', async () => {
  for (const [{ url }, user, isEnabled] of [
    [here, alice, true],
    [there, rita, false],
  ] as const) {
    const { body } = await ask(url, { method: 'GET', path: '/_matrix/client/versions' })
    expect(body.unstable_features['org.matrix.msc4140']).toBe(isEnabled)
    const { capabilities } = await user.get(`${v3}/capabilities`)
    expect('org.matrix.msc4140.delayed_events' in capabilities).toBe(isEnabled)
    const room = roomPath(roomId, `send/m.room.message/${randomUUID()}?org.matrix.msc4140.delay=60000`)
    const { status } = await user.ask('PUT', room, { msgtype: 'm.text', body: 'later' })
    expect(status).toBe(isEnabled ? 200 : 403)
  }
})
