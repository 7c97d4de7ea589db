import { expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { type SlidingBody, slidingClient } from '../harness/sliding-client.ts'

/**
 * Requests in both forms of
 * https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/4186-simplified-sliding-sync.md
 */
const { url } = inject('homeserver')
const v3 = '/_matrix/client/v3'
const FORMS = ['unstable', 'stable'] as const
type Form = (typeof FORMS)[number]
const THREADS = 'io.element.msc4308.thread_subscriptions'

const listOf = (form: Form, config: object) => ({
  ...(form === 'stable' ? { range: [0, 9] } : { ranges: [[0, 9]] }),
  ...config,
})
const NOTHING = { unstable: [], stable: {} }

async function createScene(form: Form) {
  const [alice, bob, carol] = [await registerUser(url), await registerUser(url), await registerUser(url)]
  const { room_id: roomId } = await alice.post(`${v3}/createRoom`, { preset: 'public_chat', name: 'Cats' })
  for (const user of [bob, carol]) await user.post(`${v3}/rooms/${roomId}/join`)
  for (const key of ['a', 'b']) await alice.put(`${v3}/rooms/${roomId}/state/org.test/${key}`, { key })
  await alice.put(`${v3}/rooms/${roomId}/state/org.other/a`, {})
  await sendText(bob, roomId, 'hello')
  return { alice, bob, carol, roomId, client: slidingClient(alice, { form }) }
}

type Users = Record<'alice' | 'bob' | 'carol', TestUser>
type StateCase = {
  unstable: string[][]
  stable: object
  expected(users: Users): string[]
}

const STATES: Record<string, StateCase> = {
  'one piece of state': {
    unstable: [['m.room.name', '']],
    stable: { include: [{ type: 'm.room.name', state_key: '' }] },
    expected: () => ['m.room.name|'],
  },
  'all of a type': {
    unstable: [['org.test', '*']],
    stable: { include: [{ type: 'org.test' }] },
    expected: () => ['org.test|a', 'org.test|b'],
  },
  'all with a state key': {
    unstable: [['*', 'a']],
    stable: { include: [{ state_key: 'a' }] },
    expected: () => ['org.other|a', 'org.test|a'],
  },
  oneself: {
    unstable: [['m.room.member', '$ME']],
    stable: {},
    expected: ({ alice }) => [`m.room.member|${alice.userId}`],
  },
  'the senders of the timeline': {
    unstable: [['m.room.member', '$LAZY']],
    stable: { lazy_members: true },
    expected: ({ bob }) => [`m.room.member|${bob.userId}`],
  },
  'senders, and somebody by name': {
    unstable: [
      ['m.room.member', '$LAZY'],
      ['m.room.member', '$ME'],
    ],
    stable: { lazy_members: true },
    expected: ({ alice, bob }) => [`m.room.member|${alice.userId}`, `m.room.member|${bob.userId}`],
  },
  'all members': {
    unstable: [['m.room.member', '*']],
    stable: { include: [{ type: 'm.room.member' }] },
    expected: (users) => Object.values(users).map(({ userId }) => `m.room.member|${userId}`),
  },
  nothing: { unstable: [], stable: {}, expected: () => [] },
}
/** The merged form has no `$ME`: clients name themselves. */
const stableOf = (what: string, { stable }: StateCase, { alice }: Users) =>
  STATES[what]!.unstable.some(([, key]) => key === '$ME')
    ? { ...stable, include: [{ type: 'm.room.member', state_key: alice.userId }] }
    : stable

const keysOf = (body: SlidingBody, roomId: string): string[] =>
  (body.rooms[roomId].required_state ?? []).map(({ type, state_key }: Record<string, string>) => `${type}|${state_key}`)

test.each(FORMS)('required state in the %s form', async (form) => {
  const { client: _, roomId, ...users } = await createScene(form)
  for (const [what, one] of Object.entries(STATES)) {
    const required_state = form === 'stable' ? stableOf(what, one, users) : one.unstable
    const client = slidingClient(users.alice, { form, connId: 'state' })
    const body = await client.sync({ lists: { all: listOf(form, { timeline_limit: 1, required_state }) } })
    expect(keysOf(body, roomId).sort(), what).toEqual(one.expected(users).sort())
  }
  const everything = form === 'stable' ? { include: [{}] } : [['*', '*']]
  const list = listOf(form, { timeline_limit: 1, required_state: everything })
  const { rooms, pos } = await slidingClient(users.alice, { form, connId: 'state' }).sync({ lists: { all: list } })
  const state = await users.alice.get(`${v3}/rooms/${roomId}/state`)
  expect(new Set(keysOf({ rooms, pos } as SlidingBody, roomId))).toEqual(
    new Set(state.map(({ type, state_key }: Record<string, string>) => `${type}|${state_key}`)),
  )
})

test.each(FORMS)('a timeline that grows, and grows again, in the %s form', async (form) => {
  const { alice, roomId, client } = await createScene(form)
  for (let i = 0; i < 8; i++) await sendText(alice, roomId, `${i}`)
  const asking = (timeline_limit: number) => ({
    lists: { all: listOf(form, { timeline_limit: 1, required_state: NOTHING[form] }) },
    room_subscriptions: { [roomId]: { timeline_limit, required_state: NOTHING[form] } },
  })
  const textsIn = (body: SlidingBody) =>
    body.rooms[roomId].timeline.map((event: { content: { body: string } }) => event.content.body)
  const first = await client.sync({ lists: asking(1).lists })
  expect(textsIn(first)).toEqual(['7'])
  expect(first.rooms[roomId].limited).toBe(true)
  const expanded = form === 'stable' ? 'expanded_timeline' : 'unstable_expanded_timeline'
  const opened = await client.sync(asking(3), { timeout: 20_000 })
  expect(textsIn(opened)).toEqual(['5', '6', '7'])
  expect(opened.rooms[roomId]).toMatchObject({ [expanded]: true, num_live: 0, limited: true })
  const more = await client.sync(asking(5), { timeout: 20_000 })
  expect(textsIn(more)).toEqual(['3', '4', '5', '6', '7'])
  await sendText(alice, roomId, '8')
  const news = await client.until((body) => roomId in body.rooms)
  expect(textsIn(news)).toEqual(['8'])
  expect(news.rooms[roomId]).not.toHaveProperty(expanded)
  // A smaller limit removes nothing, and the old one returns nothing that the client has.
  await client.sync(asking(2), { timeout: 0 })
  expect((await client.sync(asking(5), { timeout: 0 })).rooms).toEqual({})
})

test.each(FORMS)('extensions in the %s form', async (form) => {
  const { alice, bob, roomId, client } = await createScene(form)
  const { event_id: root } = await bob.put(`${v3}/rooms/${roomId}/send/m.room.message/root`, {
    msgtype: 'm.text',
    body: 'root',
  })
  const names = ['to_device', 'e2ee', 'account_data', 'receipts', 'typing', THREADS]
  const asking = (since?: string) => ({
    lists: { all: listOf(form, { timeline_limit: 1, required_state: NOTHING[form] }) },
    extensions: Object.fromEntries(
      names.map((name) => [name, { enabled: true, ...(name === 'to_device' && { since }) }]),
    ),
  })
  const first = await client.sync(asking())
  expect(first.extensions.e2ee.device_one_time_keys_count).toEqual({ signed_curve25519: 0 })
  expect(first.extensions.e2ee.device_unused_fallback_key_types).toEqual([])
  let since = first.extensions.to_device.next_batch
  const told = async (change: Promise<unknown>, isIn: (extensions: SlidingBody['extensions']) => boolean) => {
    await change
    for (let round = 0; round < 30; round++) {
      const { extensions } = await client.sync(asking(since), { timeout: 10_000 })
      since = extensions.to_device.next_batch
      if (isIn(extensions)) return extensions
    }
    throw new Error('the extension does not tell it')
  }
  const messages = { [alice.userId]: { '*': { text: 'psst' } } }
  const sent = await told(
    bob.put(`${v3}/sendToDevice/org.test/1`, { messages }),
    ({ to_device }) => to_device.events.length > 0,
  )
  expect(sent.to_device.events).toEqual([{ type: 'org.test', sender: bob.userId, content: { text: 'psst' } }])
  await told(bob.post(`${v3}/rooms/${roomId}/leave`), ({ e2ee }) => e2ee.device_lists?.left.includes(bob.userId))
  await told(bob.post(`${v3}/rooms/${roomId}/join`), ({ e2ee }) => e2ee.device_lists?.changed.includes(bob.userId))
  const data = await told(
    alice.put(`${v3}/user/${alice.userId}/rooms/${roomId}/account_data/org.test`, { here: true }),
    ({ account_data }) => roomId in account_data.rooms,
  )
  expect(data.account_data.rooms[roomId]).toEqual([{ type: 'org.test', content: { here: true } }])
  const { typing } = await told(
    bob.put(`${v3}/rooms/${roomId}/typing/${bob.userId}`, { typing: true, timeout: 60_000 }),
    (extensions) => roomId in extensions.typing.rooms,
  )
  expect(typing.rooms[roomId]).toEqual({ type: 'm.typing', content: { user_ids: [bob.userId] } })
  const { receipts } = await told(
    bob.post(`${v3}/rooms/${roomId}/receipt/m.read/${encodeURIComponent(root)}`),
    (extensions) => roomId in extensions.receipts.rooms,
  )
  expect(receipts.rooms[roomId].content[root]['m.read']).toHaveProperty([bob.userId])
  const thread = `/_matrix/client/unstable/io.element.msc4306/rooms/${roomId}/thread/${encodeURIComponent(root)}/subscription`
  const threads = await told(alice.put(thread, {}), (extensions) => extensions[THREADS] !== undefined)
  expect(threads[THREADS].subscribed[roomId]).toHaveProperty([root])
})

test.each(FORMS)(
  'a connection that was begun anew has expired for who goes on with the old one, in the %s form',
  async (form) => {
    const { alice, client } = await createScene(form)
    const asked = { lists: { all: listOf(form, { timeline_limit: 1, required_state: NOTHING[form] }) } }
    const { pos } = await client.sync(asked)
    const again = slidingClient(alice, { form })
    await again.sync(asked)
    const refused = await client.ask(asked, { pos })
    expect(refused).toMatchObject({ status: 400, body: { errcode: 'M_UNKNOWN_POS' } })
    await again.sync()
  },
)

test.each(FORMS)('windows follow what happens to the list, in the %s form', async (form) => {
  const alice = await registerUser(url)
  const create = async (): Promise<string> => (await alice.post(`${v3}/createRoom`, {})).room_id
  const [last, middle, first] = [await create(), await create(), await create()]
  const window = (from: number, to: number) => ({
    ...(form === 'stable' ? { range: [from, to] } : { ranges: [[from, to]] }),
    timeline_limit: 1,
    required_state: NOTHING[form],
  })
  const second = slidingClient(alice, { form, connId: 'the second room' })
  const top = slidingClient(alice, { form, connId: 'the first room' })
  expect(Object.keys((await second.sync({ lists: { all: window(1, 1) } })).rooms)).toEqual([middle])
  expect(Object.keys((await top.sync({ lists: { all: window(0, 0) } })).rooms)).toEqual([first])
  // The last room moves to the top, and the former first becomes second.
  await sendText(alice, last, 'up')
  const risen = await second.until((body) => first in body.rooms)
  expect(Object.keys(risen.rooms)).toEqual([first])
  expect(risen.rooms[first].initial).toBe(true)
  expect(Object.keys((await top.until((body) => last in body.rooms)).rooms)).toEqual([last])
  // More rooms move up than fit into the window.
  for (const roomId of [first, middle]) await sendText(alice, roomId, 'up, too')
  const highest = await top.until((body) => middle in body.rooms)
  expect(Object.keys(highest.rooms)).toEqual([middle])
})
