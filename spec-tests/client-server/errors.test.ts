import { beforeAll, expect, inject, test } from 'vitest'
import { type Answer, ask, registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, eventPath, joinRoom, relating, roomPath, sendEvent, sendState, v1, v3 } from '../harness/rooms.ts'

/**
 * Each error code that a client can cause, with its status.
 * https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
 */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string
let server: string

beforeAll(async () => {
  ;[alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
  server = alice.userId.split(':').slice(1).join(':')
  roomId = await createRoom(alice)
})

const register = (body: object) =>
  ask(url, { method: 'POST', path: `${v3}/register`, body: { password: 'correct horse battery', ...body } })
const withBody = async (body: string): Promise<Answer> => {
  const headers = { Authorization: `Bearer ${alice.accessToken}`, 'Content-Type': 'application/json' }
  const response = await fetch(`${url}${v3}/createRoom`, { method: 'POST', headers, body })
  return { status: response.status, body: await response.json(), headers: response.headers }
}
const message = { msgtype: 'm.text', body: 'x' }
const send = (user: TestUser, content: object) =>
  user.ask('PUT', roomPath(roomId, `send/m.room.message/${uniqueName('e')}`), content)
const restrictedBy = (room_id: string) => ({ join_rule: 'restricted', allow: [{ type: 'm.room_membership', room_id }] })

const CAUSES: [string, number, () => Promise<Answer>][] = [
  ['M_MISSING_TOKEN', 401, () => ask(url, { method: 'GET', path: `${v3}/sync` })],
  ['M_UNKNOWN_TOKEN', 401, () => ask(url, { method: 'GET', path: `${v3}/sync`, token: 'x' })],
  ['M_FORBIDDEN', 403, () => bob.ask('GET', roomPath(roomId, 'state'))],
  ['M_NOT_FOUND', 404, () => alice.ask('GET', roomPath(roomId, 'state/m.room.none/'))],
  ['M_UNRECOGNIZED', 404, () => alice.ask('GET', `${v3}/none`)],
  ['M_UNRECOGNIZED', 405, () => alice.ask('DELETE', `${v3}/sync`)],
  ['M_NOT_JSON', 400, () => withBody('{')],
  ['M_BAD_JSON', 400, () => withBody('[]')],
  ['M_BAD_JSON', 400, () => withBody('{"name":5}')],
  ['M_MISSING_PARAM', 400, () => alice.ask('POST', roomPath(roomId, 'kick'), {})],
  ['M_INVALID_PARAM', 400, () => alice.ask('GET', roomPath(roomId, 'messages?dir=b&from=nonsense'))],
  ['M_TOO_LARGE', 413, () => send(alice, { ...message, body: 'x'.repeat(70_000) })],
  ['M_USER_IN_USE', 400, () => register({ username: alice.userId.slice(1, alice.userId.indexOf(':')) })],
  ['M_INVALID_USERNAME', 400, () => register({ username: 'not a name' })],
  ['M_WEAK_PASSWORD', 400, () => register({ username: uniqueName(), password: 'x' })],
  ['M_UNSUPPORTED_ROOM_VERSION', 400, () => alice.ask('POST', `${v3}/createRoom`, { room_version: '99' })],
  [
    'M_INVALID_ROOM_STATE',
    400,
    () => {
      const powerless = { users: { [alice.userId]: 0 } }
      const body = { power_level_content_override: powerless, room_version: '11', name: 'x' }
      return alice.ask('POST', `${v3}/createRoom`, body)
    },
  ],
  [
    'M_ROOM_IN_USE',
    400,
    async () => {
      const room_alias_name = uniqueName('taken')
      await alice.post(`${v3}/createRoom`, { room_alias_name })
      return bob.ask('POST', `${v3}/createRoom`, { room_alias_name })
    },
  ],
  [
    'M_BAD_ALIAS',
    400,
    () => {
      const content = { alias: `#${uniqueName('none')}:${server}` }
      return alice.ask('PUT', roomPath(roomId, 'state/m.room.canonical_alias/'), content)
    },
  ],
  [
    'M_DUPLICATE_ANNOTATION',
    400,
    async () => {
      const content = relating('m.annotation', await sendText(alice, roomId, 'x'), { key: 'k' })
      await sendEvent(alice, roomId, content, 'm.reaction')
      return alice.ask('PUT', roomPath(roomId, `send/m.reaction/${uniqueName('e')}`), content)
    },
  ],
  ['M_BAD_STATE', 403, () => alice.ask('POST', roomPath(roomId, 'unban'), { user_id: bob.userId })],
  ['M_FORBIDDEN', 403, () => send(bob, message)],
  [
    'M_FORBIDDEN',
    403,
    async () => {
      const space = await createRoom(alice, { preset: 'private_chat' })
      const closed = await createRoom(alice, { preset: 'private_chat', room_version: '11' })
      await sendState(alice, closed, { type: 'm.room.join_rules', content: restrictedBy(space) })
      return bob.ask('POST', roomPath(closed, 'join'), {})
    },
  ],
  [
    'M_INVITE_BLOCKED',
    403,
    async () => {
      const carol = await registerUser(url)
      const type = `${v3}/user/${encodeURIComponent(carol.userId)}/account_data/m.invite_permission_config`
      await carol.put(type, { default_action: 'block' })
      return alice.ask('POST', roomPath(roomId, 'invite'), { user_id: carol.userId })
    },
  ],
  [
    'M_FORBIDDEN',
    403,
    // Same as for a wrong password: the response must not reveal that there was an account.
    async () => {
      const carol = await registerUser(url)
      const password = 'correct horse battery'
      const proof = { type: 'm.login.password', identifier: { type: 'm.id.user', user: carol.userId }, password }
      const first = await carol.ask('POST', `${v3}/account/deactivate`, {})
      await carol.post(`${v3}/account/deactivate`, { auth: { ...proof, session: first.body.session } })
      return ask(url, { method: 'POST', path: `${v3}/login`, body: proof })
    },
  ],
  ['M_WRONG_ROOM_KEYS_VERSION', 403, () => wrongBackupVersion()],
  ['M_NOT_YET_UPLOADED', 504, () => notUploaded()],
  ['M_CANNOT_OVERWRITE_MEDIA', 409, () => overwritten()],
  ['M_KEY_TOO_LARGE', 400, () => profileField(`org.example.${'x'.repeat(300)}`, 'x')],
  ['M_PROFILE_TOO_LARGE', 400, () => profileField('org.example.large', 'x'.repeat(70_000))],
]

async function wrongBackupVersion(): Promise<Answer> {
  const carol = await registerUser(url)
  const body = { algorithm: 'm.megolm_backup.v1.curve25519-aes-sha2', auth_data: { public_key: 'x', signatures: {} } }
  const { version } = await carol.post(`${v3}/room_keys/version`, body)
  await carol.post(`${v3}/room_keys/version`, body)
  return carol.ask('PUT', `${v3}/room_keys/keys?version=${version}`, { rooms: {} })
}

async function notUploaded(): Promise<Answer> {
  const { content_uri } = await alice.post('/_matrix/media/v1/create')
  return alice.ask('GET', `${v1}/media/download/${content_uri.slice('mxc://'.length)}?timeout_ms=10`)
}

async function overwritten(): Promise<Answer> {
  const { content_uri } = await alice.post('/_matrix/media/v1/create')
  const path = `/_matrix/media/v3/upload/${content_uri.slice('mxc://'.length)}`
  await alice.put(path, { a: 'file' })
  return alice.ask('PUT', path, { a: 'file' })
}

function profileField(name: string, value: unknown): Promise<Answer> {
  return alice.ask('PUT', `${v3}/profile/${encodeURIComponent(alice.userId)}/${name}`, { [name]: value })
}

test.each(CAUSES)('%s with %i', async (errcode, status, cause) => {
  const answer = await cause()
  expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
  expect(typeof answer.body.error).toBe('string')
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/)
})

test('an error leaves the room as it was', async () => {
  await joinRoom(roomId, bob)
  const foreign = await sendText(alice, roomId, 'hers')
  const before = await alice.get(roomPath(roomId, 'messages?dir=b&limit=3'))
  await send(bob, { ...message, body: 'x'.repeat(70_000) })
  await bob.ask('PUT', roomPath(roomId, 'state/m.room.name/'), { name: 'x' })
  await bob.ask('PUT', roomPath(roomId, `${eventPath('redact', foreign)}/1`), {})
  expect((await alice.get(roomPath(roomId, 'messages?dir=b&limit=3'))).chunk[0].event_id).toBe(before.chunk[0].event_id)
})
