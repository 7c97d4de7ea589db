import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { ask, outcomeOf, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { createRoom, joinRoom, roomPath, v3 } from '../harness/rooms.ts'
import { type SpamService, startSpamService } from '../harness/spam-service.ts'

/** Spam checks over HTTP: docs/administration.md. The bodies are those of synapse-http-antispam. */
const CHECKS = [
  ...['user_may_join_room', 'accept_make_join', 'user_may_invite', 'federated_user_may_invite'],
  ...['user_may_send_3pid_invite', 'user_may_create_room', 'user_may_create_room_alias', 'user_may_publish_room'],
  ...['check_username_for_spam', 'check_login_for_spam', 'check_event_for_spam', 'check_registration_for_spam'],
]

let federation: Awaited<ReturnType<typeof startFederation>>
let service: SpamService
let home: TestHearth
let other: TestHearth
let guarded: TestHearth
let alice: TestUser
let bob: TestUser
let remote: TestUser
beforeAll(async () => {
  federation = await startFederation(0)
  service = await startSpamService()
  const spam_checks = { url: `${service.url}/`, token: 'secret', checks: CHECKS, timeout: '1s' }
  const localhost = { deny: ['localhost'] }
  const room_acl = { deny: ['*.spam.example'], allow_ip_literals: false }
  const abuse = { invites: localhost, joins: localhost, room_acl }
  ;[home, other, guarded] = await Promise.all([
    federation.hearth({ config: { spam_checks } }),
    federation.hearth(),
    federation.hearth({ config: { abuse } }),
  ])
  ;[alice, bob] = await Promise.all([registerUser(home.url), registerUser(home.url)])
  remote = await registerUser(other.url)
})
afterEach(() => service.answerWith(() => ({ status: 200 })))
afterAll(async () => {
  await federation?.dispose()
  service?.close()
})

const refuse = (name: string, body: object = { errcode: 'M_FORBIDDEN', error: 'This looks like spam' }) =>
  service.answerWith((check) => (check.name === name ? { status: 400, body } : { status: 200 }))

/** Returns the bodies of the checks of a name that are made in the meantime. */
async function checksOf(name: string, act: () => Promise<unknown>): Promise<object[]> {
  const before = service.seen.length
  await act()
  return service.seen.slice(before).flatMap((check) => (check.name === name ? [check.body] : []))
}

type Case = { name: string; body: () => object; act: () => Promise<{ status: number; body: { errcode?: string } }> }

describe('each check is made with its fields, and a refusal reaches the client', () => {
  let roomId: string
  let elsewhere: string
  beforeAll(async () => {
    roomId = await createRoom(alice, { preset: 'public_chat' })
    elsewhere = await createRoom(remote, { preset: 'private_chat' })
  })
  const asked = (user: TestUser, method: string, path: string, body: object = {}) => user.ask(method, path, body)
  const alias = `#${uniqueName()}:`
  const name = uniqueName()
  const cases: Case[] = [
    {
      name: 'user_may_create_room',
      body: () => ({ user_id: alice.userId }),
      act: () => asked(alice, 'POST', `${v3}/createRoom`),
    },
    {
      name: 'user_may_join_room',
      body: () => ({ user: bob.userId, room: roomId, is_invited: false }),
      act: () => asked(bob, 'POST', `${v3}/join/${encodeURIComponent(roomId)}`),
    },
    {
      name: 'user_may_invite',
      body: () => ({ inviter: alice.userId, invitee: remote.userId, room_id: roomId }),
      act: () => asked(alice, 'POST', roomPath(roomId, 'invite'), { user_id: remote.userId }),
    },
    {
      name: 'federated_user_may_invite',
      body: () => ({
        event: expect.objectContaining({
          ...{ event_id: expect.stringMatching(/^\$/), type: 'm.room.member', room_id: elsewhere },
          ...{ sender: remote.userId, state_key: alice.userId, content: expect.anything() },
        }),
      }),
      act: () => asked(remote, 'POST', roomPath(elsewhere, 'invite'), { user_id: alice.userId }),
    },
    {
      name: 'accept_make_join',
      body: () => ({ user: remote.userId, room: roomId }),
      act: () => asked(remote, 'POST', `${v3}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`),
    },
    {
      name: 'user_may_create_room_alias',
      body: () => ({ user_id: alice.userId, room_alias: `${alias}${home.serverName}` }),
      act: () =>
        asked(alice, 'PUT', `${v3}/directory/room/${encodeURIComponent(alias + home.serverName)}`, { room_id: roomId }),
    },
    {
      name: 'user_may_publish_room',
      body: () => ({ user_id: alice.userId, room_id: roomId }),
      act: () =>
        asked(alice, 'PUT', `${v3}/directory/list/room/${encodeURIComponent(roomId)}`, { visibility: 'public' }),
    },
    {
      name: 'user_may_send_3pid_invite',
      body: () => ({ inviter: alice.userId, medium: 'email', address: 'a@example.org', room_id: roomId }),
      act: async () => {
        const who = { medium: 'email', address: 'a@example.org', id_server: 'localhost:1', id_access_token: 'x' }
        const answer = await asked(alice, 'POST', roomPath(roomId, 'invite'), who)
        // There is no identity server.
        return answer.status === 403 ? answer : { status: 200, body: {} }
      },
    },
    {
      name: 'check_event_for_spam',
      body: () => ({
        event: {
          ...{ type: 'm.room.message', event_id: expect.stringMatching(/^\$/), room_id: roomId, sender: alice.userId },
          ...{ origin_server_ts: expect.any(Number), content: { msgtype: 'm.text', body: 'offer' } },
        },
      }),
      act: () =>
        asked(alice, 'PUT', roomPath(roomId, `send/m.room.message/${uniqueName()}`), {
          ...{ msgtype: 'm.text', body: 'offer' },
        }),
    },
    {
      name: 'check_registration_for_spam',
      body: () => ({ email_threepid: null, username: name, auth_provider_id: null }),
      act: () =>
        ask(home.url, {
          method: 'POST',
          path: `${v3}/register`,
          body: { auth: { type: 'm.login.dummy' }, username: name, password: 'correct horse' },
        }),
    },
    {
      name: 'check_login_for_spam',
      body: () => ({
        ...{ user_id: `@${name}:${home.serverName}`, device_id: 'D', initial_display_name: null },
        ...{ auth_provider_id: null, request_info: [[expect.anything(), expect.any(String)]] },
      }),
      act: () =>
        ask(home.url, {
          method: 'POST',
          path: `${v3}/login`,
          body: { type: 'm.login.password', user: name, password: 'correct horse', device_id: 'D' },
        }),
    },
  ]

  test.each(cases)('$name', async ({ name: check, body, act }) => {
    refuse(check)
    const refused = await act()
    expect([refused.status, refused.body]).toMatchObject([403, { errcode: 'M_FORBIDDEN' }])
    service.answerWith(() => ({ status: 200 }))
    const bodies = await checksOf(check, async () => expect((await act()).status).toBe(200))
    expect(bodies).toEqual([body()])
    expect(service.seen.at(-1)!.authorization).toBe('Bearer secret')
  })

  test('check_username_for_spam hides users from the directory', async () => {
    await joinRoom(roomId, bob)
    const search = async () => {
      const body = { search_term: bob.userId.slice(1).split(':')[0] }
      return (await alice.post(`${v3}/user_directory/search`, body)).results.length
    }
    const bodies = await checksOf('check_username_for_spam', async () => expect(await search()).toBe(1))
    expect(bodies).toEqual([
      { user_profile: expect.objectContaining({ user_id: bob.userId }), requester_id: alice.userId },
    ])
    refuse('check_username_for_spam')
    expect(await search()).toBe(0)
  })
})

test('a refusal keeps its code and its keys', async () => {
  refuse('user_may_create_room', { errcode: 'ORG.EXAMPLE.NO', error: 'Not today', until: 7 })
  const { status, body } = await alice.ask('POST', `${v3}/createRoom`, {})
  expect([status, body]).toEqual([403, { errcode: 'ORG.EXAMPLE.NO', error: 'Not today', until: 7 }])
})

test('the invites of a new room are checked with its ID', async () => {
  refuse('user_may_invite')
  const [mallory] = await Promise.all([registerUser(home.url)])
  const bodies = await checksOf('user_may_invite', () => createRoom(alice, { invite: [mallory.userId, remote.userId] }))
  expect(bodies).toHaveLength(2)
  expect(bodies[0]).toMatchObject({ inviter: alice.userId, room_id: expect.stringMatching(/^!/) })
  const { rooms } = await mallory.get(`${v3}/sync?timeout=0`)
  expect(rooms?.invite ?? {}).toEqual({})
})

test('events of other servers are checked, and hidden if they are refused', async () => {
  const roomId = await createRoom(alice, { preset: 'public_chat' })
  await remote.post(`${v3}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`)
  service.answerWith(({ body }) => ({ status: JSON.stringify(body).includes('cheap pills') ? 400 : 200, body: {} }))
  const spam = await sendText(remote, roomId, 'cheap pills')
  await sendText(remote, roomId, 'good news')
  const heard = async () => {
    const { chunk } = await alice.get(roomPath(roomId, 'messages?dir=b&limit=20'))
    return chunk.flatMap((event: { content: { body?: string } }) => event.content.body ?? [])
  }
  await pollUntil('the other message arrives', async () => (await heard()).includes('good news'))
  expect(await heard()).toEqual(['good news'])
  expect((await alice.ask('GET', roomPath(roomId, `event/${encodeURIComponent(spam)}`))).status).toBe(404)
})

test('many who write at once are all heard, once each', async () => {
  const roomId = await createRoom(alice, { preset: 'public_chat' })
  const texts = Array.from({ length: 12 }, (_, place) => `message ${place}`)
  await Promise.all(texts.map((text) => sendText(alice, roomId, text)))
  const { chunk } = await alice.get(roomPath(roomId, 'messages?dir=b&limit=50'))
  const bodies = chunk.flatMap((event: { content: { body?: string } }) => event.content.body ?? [])
  expect(bodies.sort()).toEqual(texts.sort())
})

test.each([
  ['does not answer', null],
  ['answers without JSON', { status: 404, text: '<h1>Not found</h1>' }],
  ['answers with a failure', { status: 502, body: { errcode: 'M_FORBIDDEN' } }],
  ['redirects', { status: 307, headers: { location: 'http://127.0.0.1:1/' }, text: '' }],
  ['answers with too much', { status: 400, text: `{"error":"${'x'.repeat(1_000_000)}"}` }],
])('a service that %s refuses what fails closed, and allows events', async (_name, answer) => {
  const roomId = await createRoom(alice)
  service.answerWith(() => answer)
  const [create, send] = await Promise.all([
    alice.ask('POST', `${v3}/createRoom`, {}),
    alice.ask('PUT', roomPath(roomId, `send/m.room.message/${uniqueName()}`), { msgtype: 'm.text', body: 'x' }),
  ])
  expect([create.status, create.body.errcode, send.status]).toEqual([503, 'M_UNKNOWN', 200])
})

describe('a server that denies others', () => {
  let guest: TestUser
  let roomId: string
  beforeAll(async () => {
    guest = await registerUser(guarded.url)
    roomId = await createRoom(guest, { preset: 'public_chat' })
  })
  const outcome = (user: TestUser, path: string, body: object = {}) => outcomeOf(user, 'POST', path, body)

  test('exchanges no invites and joins with them', async () => {
    const refused = [403, 'M_FORBIDDEN']
    const elsewhere = await createRoom(remote, { preset: 'private_chat', room_version: '11' })
    const join = (id: string, via: TestHearth) => `${v3}/join/${encodeURIComponent(id)}?via=${via.serverName}`
    expect(await outcome(remote, roomPath(elsewhere, 'invite'), { user_id: guest.userId })).toEqual(refused)
    expect(await outcome(guest, roomPath(roomId, 'invite'), { user_id: remote.userId })).toEqual(refused)
    expect(await outcome(guest, join(elsewhere, other))).toEqual(refused)
    expect(await outcome(remote, join(roomId, guarded))).toEqual(refused)
    const local = await registerUser(guarded.url)
    expect(await outcome(guest, roomPath(roomId, 'invite'), { user_id: local.userId })).toEqual([200, undefined])
    expect(await outcome(local, join(roomId, guarded))).toEqual([200, undefined])
  })

  test('gives new rooms an ACL, unless the client sets one', async () => {
    const acl = (id: string) => guest.ask('GET', roomPath(id, 'state/m.room.server_acl/'))
    const given = { allow: ['*'], deny: ['*.spam.example'], allow_ip_literals: false }
    expect((await acl(roomId)).body).toEqual(given)
    const own = { allow: ['*'], deny: ['x.example'] }
    const initial_state = [{ type: 'm.room.server_acl', state_key: '', content: own }]
    expect((await acl(await createRoom(guest, { initial_state }))).body).toEqual(own)
    const creation_content = { 'm.federate': false }
    expect((await acl(await createRoom(guest, { creation_content }))).status).toBe(404)
  })
})
