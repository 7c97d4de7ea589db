import { expect, inject, test } from 'vitest'
import { ask, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { type SlidingBody, slidingClient, UNSTABLE_SLIDING_SYNC } from '../harness/sliding-client.ts'

/** https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'

const STATE = [
  ['m.room.name', ''],
  ['m.room.member', '$ME'],
  ['m.room.member', '$LAZY'],
]
const LIST = { ranges: [[0, 19]], timeline_limit: 10, required_state: STATE }
const ALL = { lists: { all: LIST } }

const createRoom = async (user: TestUser, options: object = {}): Promise<string> =>
  (await user.post(`${v3}/createRoom`, { preset: 'public_chat', ...options })).room_id
const join = (user: TestUser, roomId: string) => user.post(`${v3}/rooms/${roomId}/join`)
const bodies = (body: SlidingBody, roomId: string): string[] =>
  (body.rooms[roomId]?.timeline ?? []).flatMap((event: { content: { body?: string } }) => event.content.body ?? [])
const typesOf = (events: { type: string; state_key: string }[]) => events.map(({ type }) => type)

test('clients learn that it is there', async () => {
  const { body } = await ask(url, { method: 'GET', path: '/_matrix/client/versions' })
  expect(body.unstable_features['org.matrix.simplified_msc3575']).toBe(true)
})

test('rooms, then messages as they come, each once and in order', async () => {
  const [alice, bob] = [await registerUser(url), await registerUser(url)]
  const roomId = await createRoom(alice, { name: 'Cats' })
  await join(bob, roomId)
  const client = slidingClient(bob)
  // All messages fit into one answer, so a slow server cannot leave any of them out.
  const first = await client.sync({ lists: { all: { ...LIST, timeline_limit: 20 } } })
  expect(first.lists.all.count).toBe(1)
  expect(first.rooms[roomId]).toMatchObject({ initial: true, name: 'Cats', joined_count: 2, invited_count: 0 })
  const told: string[] = []
  const sending = (async () => {
    for (let i = 0; i < 20; i++) await sendText(alice, roomId, `${i}`)
  })()
  while (told.length < 20) {
    const body = await client.sync(undefined, { timeout: 10_000 })
    if (body.rooms[roomId]) expect(body.rooms[roomId]).toMatchObject({ num_live: bodies(body, roomId).length })
    told.push(...bodies(body, roomId))
  }
  await sending
  expect(told).toEqual(Array.from({ length: 20 }, (_, i) => `${i}`))
})

test('an answer that was lost is given again, by whichever process', async () => {
  const alice = await registerUser(url)
  const roomId = await createRoom(alice)
  const client = slidingClient(alice)
  const { pos } = await client.sync(ALL)
  await sendText(alice, roomId, 'one')
  expect(bodies(await client.until((body) => roomId in body.rooms), roomId)).toEqual(['one'])
  for (let i = 0; i < 3; i++) expect(bodies(await client.sync(undefined, { pos }), roomId)).toEqual(['one'])
  await sendText(alice, roomId, 'two')
  expect(bodies(await client.until((body) => roomId in body.rooms), roomId)).toEqual(['two'])
})

test('a position of another connection, device or time is unknown', async () => {
  const alice = await registerUser(url)
  const roomId = await createRoom(alice)
  const client = slidingClient(alice)
  const { pos } = await client.sync(ALL)
  const unknown = { status: 400, body: { errcode: 'M_UNKNOWN_POS' } }
  expect(await slidingClient(alice, { connId: 'other' }).ask(ALL, { pos })).toMatchObject(unknown)
  expect(await slidingClient(await registerUser(url)).ask(ALL, { pos })).toMatchObject(unknown)
  expect(await client.ask(ALL, { pos: 'what' })).toMatchObject(unknown)
  for (const text of ['one', 'two']) {
    await sendText(alice, roomId, text)
    await client.until((body) => roomId in body.rooms)
  }
  expect(await client.ask(ALL, { pos })).toMatchObject(unknown)
})

test('opening a room tells its history at once', async () => {
  const alice = await registerUser(url)
  const roomId = await createRoom(alice)
  for (const text of ['one', 'two', 'three']) await sendText(alice, roomId, text)
  const client = slidingClient(alice)
  const list = { ...LIST, timeline_limit: 1 }
  await client.sync({ lists: { all: list } })
  const opened = await client.sync(
    { lists: { all: list }, room_subscriptions: { [roomId]: { timeline_limit: 3, required_state: [['*', '*']] } } },
    { timeout: 30_000 },
  )
  expect(opened.rooms[roomId]).toMatchObject({ unstable_expanded_timeline: true, limited: true, num_live: 0 })
  expect(bodies(opened, roomId)).toEqual(['one', 'two', 'three'])
  expect(typesOf(opened.rooms[roomId].required_state)).toContain('m.room.power_levels')
  const { prev_batch } = opened.rooms[roomId]
  const { chunk } = await alice.get(`${v3}/rooms/${roomId}/messages?dir=b&limit=1&from=${prev_batch}`)
  expect(chunk[0].type).not.toBe('m.room.message')
})

test('members are sent when they matter', async () => {
  const [alice, bob, carol] = [await registerUser(url), await registerUser(url), await registerUser(url)]
  const roomId = await createRoom(alice)
  await join(bob, roomId)
  await join(carol, roomId)
  await sendText(carol, roomId, 'hello')
  const client = slidingClient(bob)
  const first = await client.sync({ lists: { all: { ...LIST, timeline_limit: 1 } } })
  const membersIn = (body: SlidingBody) =>
    new Set(
      (body.rooms[roomId]?.required_state ?? [])
        .filter(({ type }: { type: string }) => type === 'm.room.member')
        .map(({ state_key }: { state_key: string }) => state_key),
    )
  expect(membersIn(first)).toEqual(new Set([bob.userId, carol.userId]))
  await sendText(alice, roomId, 'hi')
  expect(membersIn(await client.until((body) => roomId in body.rooms))).toContain(alice.userId)
  await carol.post(`${v3}/rooms/${roomId}/leave`)
  const gone = await client.until((body) => roomId in body.rooms)
  expect(membersIn(gone)).toContain(carol.userId)
  expect(gone.rooms[roomId].joined_count).toBe(2)
})

test('messages to devices come until they are acknowledged', async () => {
  const alice = await registerUser(url)
  const client = slidingClient(alice, { connId: 'encryption' })
  const extensions = (since?: string) => ({
    extensions: { to_device: { enabled: true, since }, e2ee: { enabled: true } },
  })
  const first = await client.sync(extensions())
  expect(first.extensions.e2ee.device_one_time_keys_count).toEqual({ signed_curve25519: 0 })
  const send = (text: string) =>
    alice.put(`${v3}/sendToDevice/org.test/${Math.random()}`, {
      messages: { [alice.userId]: { [alice.deviceId]: { text } } },
    })
  const textsIn = ({ extensions: { to_device } }: SlidingBody) =>
    to_device.events.map(({ content }: { content: { text: string } }) => content.text)
  const since = first.extensions.to_device.next_batch
  const waiting = client.sync(extensions(since), { timeout: 20_000 })
  await send('one')
  const told = await waiting
  expect(textsIn(told)).toEqual(['one'])
  await send('two')
  expect(textsIn(await client.sync(extensions(since)))).toEqual(['one', 'two'])
  expect(textsIn(await client.sync(extensions(told.extensions.to_device.next_batch)))).toEqual(['two'])
  expect(textsIn(await client.sync(extensions()))).toEqual(['two'])
})

test('whose keys changed', async () => {
  const [alice, bob] = [await registerUser(url), await registerUser(url)]
  const roomId = await createRoom(alice)
  const client = slidingClient(alice, { connId: 'encryption' })
  await client.sync({ extensions: { e2ee: { enabled: true } } })
  const changedIn = ({ extensions: { e2ee } }: SlidingBody): string[] => e2ee.device_lists?.changed ?? []
  await join(bob, roomId)
  await client.until((body) => changedIn(body).includes(bob.userId))
  await bob.post(`${v3}/rooms/${roomId}/leave`)
  await client.until(({ extensions: { e2ee } }) => (e2ee.device_lists?.left ?? []).includes(bob.userId))
})

test('account data, receipts and typing of the rooms that are asked for', async () => {
  const [alice, bob] = [await registerUser(url), await registerUser(url)]
  const [roomId, other] = [await createRoom(alice), await createRoom(alice)]
  for (const id of [roomId, other]) await join(bob, id)
  const eventId = await sendText(alice, roomId, 'read this')
  await bob.post(`${v3}/rooms/${roomId}/receipt/m.read/${encodeURIComponent(eventId)}`)
  await alice.put(`${v3}/user/${alice.userId}/account_data/org.test`, { global: true })
  await alice.put(`${v3}/user/${alice.userId}/rooms/${roomId}/account_data/org.test`, { room: roomId })
  const scope = { enabled: true, lists: [], rooms: ['*'] }
  const asked = {
    ...ALL,
    room_subscriptions: { [roomId]: { timeline_limit: 5, required_state: [] } },
    extensions: { account_data: { enabled: true }, receipts: scope, typing: scope },
  }
  const client = slidingClient(alice)
  const { extensions } = await client.sync(asked)
  expect(extensions.account_data.global).toContainEqual({ type: 'org.test', content: { global: true } })
  expect(typesOf(extensions.account_data.global)).toContain('m.push_rules')
  expect(extensions.account_data.rooms).toEqual({ [roomId]: [{ type: 'org.test', content: { room: roomId } }] })
  expect(Object.keys(extensions.receipts.rooms)).toEqual([roomId])
  expect(extensions.receipts.rooms[roomId].content[eventId]['m.read']).toHaveProperty([bob.userId])

  const typing = (room: string, isTyping: boolean) =>
    bob.put(`${v3}/rooms/${room}/typing/${bob.userId}`, { typing: isTyping, timeout: 30_000 })
  await typing(other, true)
  await typing(roomId, true)
  const begun = await client.until((body) => roomId in body.extensions.typing.rooms)
  expect(begun.extensions.typing.rooms).toEqual({ [roomId]: { type: 'm.typing', content: { user_ids: [bob.userId] } } })
  await typing(roomId, false)
  const ended = await client.until((body) => roomId in body.extensions.typing.rooms)
  expect(ended.extensions.typing.rooms[roomId].content).toEqual({ user_ids: [] })

  const later = await sendText(alice, other, 'and this')
  await bob.post(`${v3}/rooms/${other}/receipt/m.read/${encodeURIComponent(later)}`)
  await client.until((body) => bodies(body, other).includes('and this'))
  const both = {
    ...asked,
    room_subscriptions: { ...asked.room_subscriptions, [other]: { timeline_limit: 5, required_state: [] } },
  }
  const opened = await client.sync(both, { timeout: 20_000 })
  expect(opened.extensions.receipts.rooms[other].content[later]['m.read']).toHaveProperty([bob.userId])
})

test('unread counts, and that another device has read', async () => {
  const [alice, bob] = [await registerUser(url), await registerUser(url)]
  const roomId = await createRoom(alice)
  await join(bob, roomId)
  const client = slidingClient(alice)
  await client.sync(ALL)
  const eventId = await sendText(bob, roomId, 'hello')
  const told = await client.until((body) => roomId in body.rooms)
  expect(told.rooms[roomId]).toMatchObject({ notification_count: 1, highlight_count: 0 })
  await alice.post(`${v3}/rooms/${roomId}/receipt/m.read/${encodeURIComponent(eventId)}`)
  const read = await client.until((body) => roomId in body.rooms)
  expect(read.rooms[roomId]).toMatchObject({ notification_count: 0 })
})

test('a room becomes a direct chat', async () => {
  const alice = await registerUser(url)
  const roomId = await createRoom(alice)
  const client = slidingClient(alice)
  expect((await client.sync(ALL)).rooms[roomId].is_dm).toBeUndefined()
  await alice.put(`${v3}/user/${alice.userId}/account_data/m.direct`, { '@bob:example.org': [roomId] })
  expect((await client.until((body) => roomId in body.rooms)).rooms[roomId].is_dm).toBe(true)
})

test('an ignored user wakes no sync', async () => {
  const [alice, bob] = [await registerUser(url), await registerUser(url)]
  const roomId = await createRoom(alice)
  await join(bob, roomId)
  await alice.put(`${v3}/user/${alice.userId}/account_data/m.ignored_user_list`, {
    ignored_users: { [bob.userId]: {} },
  })
  const client = slidingClient(alice)
  await client.sync(ALL)
  await sendText(bob, roomId, 'noise')
  await sendText(alice, roomId, 'signal')
  expect(bodies(await client.until((body) => roomId in body.rooms), roomId)).toEqual(['signal'])
})

test('the form of the merged proposal', async () => {
  const [alice, bob] = [await registerUser(url), await registerUser(url)]
  const roomId = await createRoom(alice, { name: 'Cats', topic: 'Cats only' })
  const invite = await createRoom(bob, { name: 'Dogs', invite: [alice.userId] })
  const required_state = {
    include: [{}],
    exclude: [{ type: 'm.room.create', state_key: '' }],
    lazy_members: true,
  }
  const list = { range: [0, 9], timeline_limit: 1, required_state }
  const client = slidingClient(alice, { form: 'stable' })
  const first = await client.sync({ lists: { all: list, invites: { ...list, filters: { is_invited: true } } } })
  expect(first.lists).toEqual({ all: { count: 2 }, invites: { count: 1 } })
  expect(first.rooms[invite]).toMatchObject({ membership: 'invite', lists: ['all', 'invites'] })
  expect(typesOf(first.rooms[invite].stripped_state)).toContain('m.room.name')
  expect(first.rooms[roomId]).toMatchObject({ membership: 'join', lists: ['all'], name: 'Cats', initial: true })
  expect(first.rooms[roomId].notification_count).toBeUndefined()
  const types = typesOf(first.rooms[roomId].required_state)
  expect(types).toContain('m.room.topic')
  expect(types).not.toContain('m.room.create')
  await alice.put(`${v3}/rooms/${roomId}/state/m.room.name`, {})
  expect((await client.until((body) => roomId in body.rooms)).rooms[roomId].name).toBeNull()
  const more = await client.sync({ lists: { all: { ...list, timeline_limit: 3 } } }, { timeout: 20_000 })
  expect(more.rooms[roomId]).toMatchObject({ expanded_timeline: true })
  const { chunk } = await alice.get(`${v3}/rooms/${roomId}/messages?dir=b&limit=1&from=${more.pos}`)
  expect(chunk[0]).toMatchObject({ type: 'm.room.name' })
})

const BAD: Record<string, object> = {
  'lists that are none': { lists: [] },
  'a list without limit': { lists: { all: { ranges: [[0, 1]], required_state: [] } } },
  'a negative range': { lists: { all: { ...LIST, ranges: [[-1, 1]] } } },
  'a range of three': { lists: { all: { ...LIST, ranges: [[0, 1, 2]] } } },
  'state that is no pair': { lists: { all: { ...LIST, required_state: [['m.room.name']] } } },
  'a room id that is none': { room_subscriptions: { nonsense: { timeline_limit: 1, required_state: [] } } },
  'a filter of the wrong type': { lists: { all: { ...LIST, filters: { is_dm: 'yes' } } } },
  'NUL in a filter': { lists: { all: { ...LIST, filters: { tags: ['\0'] } } } },
  'NUL in the connection': { conn_id: '\0' },
  'a since that is none': { extensions: { to_device: { enabled: true, since: 'what' } } },
  'a limit of nothing': { extensions: { to_device: { enabled: true, limit: 0 } } },
  '101 lists': { lists: Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`l${i}`, LIST])) },
}

const CONFIG = { timeline_limit: 1, required_state: {} }
const listsOf = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, { ...CONFIG, range: [0, 1] }]))
const roomsOf = (count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`!room${i}:hearth.test`, CONFIG]))

test.each([
  ['101 lists', { lists: listsOf(101) }],
  ['101 subscriptions', { room_subscriptions: roomsOf(101) }],
  ['a presence that is none', { set_presence: 'asleep' }],
])('the form of the merged proposal: %s is an invalid parameter', async (_what, body) => {
  const alice = await registerUser(url)
  expect(await alice.ask('POST', '/_matrix/client/v4/sync', body)).toMatchObject({
    status: 400,
    body: { errcode: 'M_INVALID_PARAM' },
  })
})

test.each(Object.keys(BAD))('%s is refused', async (what) => {
  const alice = await registerUser(url)
  const { status, body } = await alice.ask('POST', UNSTABLE_SLIDING_SYNC, BAD[what])
  expect(status).toBe(400)
  expect(['M_BAD_JSON', 'M_INVALID_PARAM', 'M_MISSING_PARAM']).toContain(body.errcode)
})
