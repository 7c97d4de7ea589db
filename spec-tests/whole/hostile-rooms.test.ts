import { expect } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser, uniqueName } from '../harness/client.ts'
import { type Attack, describeAttacks, type HostileWorld } from '../harness/hostile-world.ts'
import { joinAsPeer, type PeerSpeaker } from '../harness/peer-speaker.ts'
import {
  type ClientEvent,
  createRoom,
  eventPath,
  hasEvent,
  historyOf,
  ignore,
  joinRoom,
  refusal,
  relating,
  roomPath,
  sendEvent,
  sendState,
  syncUntil,
  v1,
  v3,
} from '../harness/rooms.ts'
import { slidingClient } from '../harness/sliding-client.ts'

/** Attacks on rooms by users without power or access: they can redact, hide and read nothing. */

type Scene = { world: HostileWorld; roomId: string; messageId: string; word: string; say: PeerSpeaker; since: string }

/** Creates a published room of Alice with Bob, a message, and the peer's user, who has no power. */
async function scene(world: HostileWorld, room_version: string): Promise<Scene> {
  const { alice, bob } = world
  const word = `word${uniqueName().replaceAll('-', '')}`
  const roomId = await createRoom(alice, { room_version, name: `Room ${word}`, visibility: 'public' })
  await joinRoom(roomId, bob)
  const messageId = await sendText(alice, roomId, `precious ${word}`)
  const say = await joinAsPeer(world, roomId, room_version)
  const { next_batch: since } = await bob.get(`${v3}/sync`)
  return { world, roomId, messageId, word, say, since }
}

/** Asserts that neither sync shows Bob an event that the peer has sent, and that its room still works. */
async function expectWithheld({ world: { bob }, roomId, say, since }: Scene, eventId: string): Promise<void> {
  const last = await say({ content: { msgtype: 'm.text', body: 'afterwards' } })
  const told: string[] = []
  await syncUntil(bob, since, ({ rooms }) => {
    told.push(...(rooms?.join?.[roomId]?.timeline.events ?? []).map(({ event_id }: ClientEvent) => event_id))
    return told.includes(last)
  })
  const subscription = { room_subscriptions: { [roomId]: { timeline_limit: 50, required_state: [] } } }
  const sliding = await slidingClient(bob, { connId: uniqueName() }).sync(subscription)
  told.push(...sliding.rooms[roomId].timeline.map(({ event_id }: ClientEvent) => event_id))
  told.push(...(await historyOf(bob, roomId)).map(({ event_id }) => event_id))
  expect(told).not.toContain(eventId)
  expect(await hasEvent(bob, { room_id: roomId, event_id: eventId })).toBe(false)
}

/** Asserts that everybody can read Alice's message, also by search. */
async function expectIntact({ world: { bob }, roomId, messageId, word }: Scene): Promise<void> {
  const { content } = await bob.get(roomPath(roomId, eventPath('event', messageId)))
  expect(content.body).toContain(word)
  const search_categories = { room_events: { search_term: word, filter: { rooms: [roomId] } } }
  const found = (await bob.post(`${v3}/search`, { search_categories })).search_categories.room_events.results
  expect(found.map(({ result }: ClientEvent) => result.event_id)).toContain(messageId)
}

type Redacting = Parameters<PeerSpeaker>[0]
/** Returns a row about an invalid redaction by the peer's user. */
function badRedaction(
  name: string,
  version: string,
  redaction: (scene: Scene) => Promise<Redacting> | Redacting,
): Attack {
  return {
    name: `a peer without power redacts ${name}, in a room of version ${version}`,
    async attempt(world) {
      const made = await scene(world, version)
      const eventId = await made.say({ type: 'm.room.redaction', content: {}, ...(await redaction(made)) })
      await expectWithheld(made, eventId)
      await expectIntact(made)
      const { chunk } = await world.bob.post(`${v3}/publicRooms`, { filter: { generic_search_term: made.word } })
      expect(chunk).toMatchObject([{ room_id: made.roomId, name: `Room ${made.word}` }])
    },
  }
}

const stateId = async ({ world: { alice }, roomId }: Scene, type: string): Promise<string> =>
  (await alice.get(roomPath(roomId, 'state'))).find((event: ClientEvent) => event.type === type).event_id
const naming = (redacts: string) => ({ content: { redacts } })

const REDACTIONS_BY_PEERS: Attack[] = [
  badRedaction('a message', '12', ({ messageId }) => naming(messageId)),
  badRedaction('a message', '10', ({ messageId }) => ({ redacts: messageId })),
  badRedaction('a message, by a state event', '12', ({ messageId }) => ({ ...naming(messageId), state_key: '' })),
  badRedaction('the name', '12', async (made) => naming(await stateId(made, 'm.room.name'))),
  badRedaction('the power levels', '12', async (made) => naming(await stateId(made, 'm.room.power_levels'))),
  badRedaction('the join rules', '10', async (made) => ({ redacts: await stateId(made, 'm.room.join_rules') })),
  badRedaction('the creation', '12', async (made) => naming(await stateId(made, 'm.room.create'))),
  badRedaction('an event of another room', '12', ({ world }) => naming(world.eventId)),
  badRedaction('an event that nobody knows', '12', () => naming(`$${'A'.repeat(43)}`)),
  badRedaction('what is no event id', '12', () => naming('nothing')),
  badRedaction('nothing', '12', () => ({})),
  badRedaction('a number', '12', () => ({ content: { redacts: 7 } })),
  {
    name: 'a peer redacts its own message, and at the top one of Alice’s',
    async attempt(world) {
      const made = await scene(world, '11')
      const own = await made.say({ content: { msgtype: 'm.text', body: 'own' } })
      const eventId = await made.say({ type: 'm.room.redaction', ...naming(own), redacts: made.messageId })
      await pollUntil('it is delivered', () => hasEvent(world.bob, { room_id: made.roomId, event_id: eventId }))
      expect((await world.bob.get(roomPath(made.roomId, eventPath('event', eventId)))).redacts).toBe(own)
      await expectIntact(made)
    },
  },
  {
    name: 'a peer redacts a redaction of Alice’s',
    async attempt(world) {
      const made = await scene(world, '12')
      const path = roomPath(made.roomId, `${eventPath('redact', made.messageId)}/${uniqueName()}`)
      const { event_id } = await world.alice.put(path, { reason: 'kept reason' })
      const eventId = await made.say({ type: 'm.room.redaction', ...naming(event_id) })
      await expectWithheld(made, eventId)
      const { content } = await world.bob.get(roomPath(made.roomId, eventPath('event', event_id)))
      expect(content.reason).toBe('kept reason')
    },
  },
  {
    name: 'a peer sends a hundred redactions of unknown events',
    async attempt(world) {
      const made = await scene(world, '12')
      const ids = []
      for (let i = 0; i < 100; i++) ids.push(await made.say({ type: 'm.room.redaction', ...naming(`$unknown${i}`) }))
      await expectWithheld(made, ids.at(-1)!)
      await expectIntact(made)
    },
  },
  {
    name: 'a peer says in unsigned that its message is redacted, replaced and a thread',
    async attempt(world) {
      const made = await scene(world, '12')
      const lie = { type: 'm.room.message', content: { body: 'forged' }, sender: world.alice.userId }
      const unsigned = {
        redacted_because: lie,
        'm.relations': {
          'm.replace': lie,
          'm.thread': { latest_event: lie, count: 9, current_user_participated: true },
        },
        prev_content: { body: 'forged' },
        transaction_id: 'forged',
      }
      const eventId = await made.say({ content: { msgtype: 'm.text', body: 'lie' }, unsigned: unsigned as never })
      await pollUntil('it arrives', () => hasEvent(world.bob, { room_id: made.roomId, event_id: eventId }))
      const event = await world.bob.get(roomPath(made.roomId, eventPath('event', eventId)))
      expect(JSON.stringify(event)).not.toContain('forged')
    },
  },
]

/** Returns a row about a redaction by Mallory, a member without power: it is refused and changes nothing. */
function badRequest(
  name: string,
  expected: [number, string],
  request: (room: { roomId: string; eventId: string; nameId: string; elsewhere: string }) => [string, string, object],
): Attack {
  return {
    name: `a member without power redacts ${name}`,
    async attempt(world) {
      const { alice, roomId, eventId } = world
      const mallory = await registerUser(world.url)
      await joinRoom(roomId, mallory)
      const nameId = await sendState(alice, roomId, { type: 'm.room.name', content: { name: 'Kept' } })
      const elsewhere = await createRoom(mallory)
      expect(await refusal(mallory, ...request({ roomId, eventId, nameId, elsewhere }))).toEqual(expected)
      expect((await alice.get(roomPath(roomId, eventPath('event', eventId)))).content.body).toBe('hello')
      expect(await alice.get(roomPath(roomId, 'state/m.room.name/'))).toEqual({ name: 'Kept' })
    },
  }
}

const txn = () => uniqueName()
const FORBIDDEN: [number, string] = [403, 'M_FORBIDDEN']
const REDACTIONS_BY_CLIENTS: Attack[] = [
  badRequest('a message', FORBIDDEN, ({ roomId, eventId }) => [
    'PUT',
    roomPath(roomId, `${eventPath('redact', eventId)}/${txn()}`),
    {},
  ]),
  badRequest('a message and all that relates to it', FORBIDDEN, ({ roomId, eventId }) => [
    'PUT',
    roomPath(roomId, `${eventPath('redact', eventId)}/${txn()}`),
    { 'org.matrix.msc3912.with_relations': ['*'] },
  ]),
  badRequest('a message, sent as any event', FORBIDDEN, ({ roomId, eventId }) => [
    'PUT',
    roomPath(roomId, `send/m.room.redaction/${txn()}`),
    { redacts: eventId },
  ]),
  badRequest('the name', FORBIDDEN, ({ roomId, nameId }) => [
    'PUT',
    roomPath(roomId, `${eventPath('redact', nameId)}/${txn()}`),
    {},
  ]),
  badRequest('a message, by a state event', FORBIDDEN, ({ roomId, eventId }) => [
    'PUT',
    roomPath(roomId, 'state/m.room.redaction/'),
    { redacts: eventId },
  ]),
  badRequest('a message from a room of their own', [400, 'M_INVALID_PARAM'], ({ elsewhere, eventId }) => [
    'PUT',
    roomPath(elsewhere, `${eventPath('redact', eventId)}/${txn()}`),
    {},
  ]),
  badRequest(
    'a message from a room of their own, by a state event',
    [400, 'M_INVALID_PARAM'],
    ({ elsewhere, eventId }) => ['PUT', roomPath(elsewhere, 'state/m.room.redaction/'), { redacts: eventId }],
  ),
  badRequest('what nobody knows', [404, 'M_NOT_FOUND'], ({ roomId }) => [
    'PUT',
    roomPath(roomId, `${eventPath('redact', '$unknown')}/${txn()}`),
    {},
  ]),
]

type Secret = { roomId: string; eventId: string; token: string }
/** Creates a private room of Alice, whose IDs an outsider knows. */
async function secretRoom({ alice, bob }: HostileWorld): Promise<Secret> {
  const roomId = await createRoom(alice, { preset: 'private_chat', name: 'the secret name', invite: [bob.userId] })
  await joinRoom(roomId, bob)
  const eventId = await sendText(alice, roomId, 'the secret message')
  await sendEvent(bob, roomId, { ...(relating('m.thread', eventId) as object), body: 'the secret answer' })
  const { start } = await alice.get(roomPath(roomId, 'messages?dir=b&limit=1'))
  return { roomId, eventId, token: start }
}

type Reading = (user: TestUser, secret: Secret) => Promise<unknown>
const get = (rest: (secret: Secret) => string, base = v3): Reading => {
  return (user, secret) => user.ask('GET', roomPath(secret.roomId, rest(secret), base))
}
const search = (user: TestUser, rooms: readonly string[]) =>
  user.ask('POST', `${v3}/search`, {
    search_categories: { room_events: { search_term: 'answer', filter: { rooms } } },
  })

const READINGS: Record<string, Reading> = {
  messages: get(({ token }) => `messages?dir=b&from=${token}`),
  'an event': get(({ eventId }) => eventPath('event', eventId)),
  context: get(({ eventId }) => eventPath('context', eventId)),
  state: get(() => 'state'),
  'the name': get(() => 'state/m.room.name/'),
  members: get(({ token }) => `members?at=${token}`),
  'joined members': get(() => 'joined_members'),
  relations: get(({ eventId }) => eventPath('relations', eventId), v1),
  threads: get(() => 'threads', v1),
  'the event of a time': get(() => `timestamp_to_event?dir=b&ts=${Date.now()}`, v1),
  'an initial sync of the room': get(() => 'initialSync'),
  aliases: get(() => 'aliases'),
  hierarchy: get(() => 'hierarchy', v1),
  'the summary': (user, { roomId }) => user.ask('GET', `${v1}/room_summary/${encodeURIComponent(roomId)}`),
  'events as they come': (user, { roomId }) => user.ask('GET', `${v3}/events?room_id=${encodeURIComponent(roomId)}`),
  'an event without its room': (user, { eventId }) => user.ask('GET', `${v3}/${eventPath('events', eventId)}`),
  'a search': (user, { roomId }) => search(user, [roomId]),
  'a subscription of sliding sync': (user, { roomId }) =>
    slidingClient(user, { connId: uniqueName() }).sync({
      room_subscriptions: { [roomId]: { timeline_limit: 50, required_state: [['*', '*']] } },
    }),
  'a list of sliding sync by name': (user) =>
    slidingClient(user, { connId: uniqueName() }).sync({
      lists: {
        all: {
          ranges: [[0, 9]],
          timeline_limit: 9,
          required_state: [['*', '*']],
          filters: { room_name_like: 'secret' },
        },
      },
    }),
  'a filter of /sync': (user, { roomId }) => {
    const filter = JSON.stringify({ room: { rooms: [roomId], include_leave: true } })
    return user.ask('GET', `${v3}/sync?filter=${encodeURIComponent(filter)}&full_state=true`)
  },
}

/** Each read, by a stranger, and by a user who has left and forgotten the room. */
const READING: Attack[] = Object.keys(READINGS).map((name) => ({
  name: `an outsider asks for ${name} of a private room`,
  async attempt(world) {
    const secret = await secretRoom(world)
    const [stranger, former] = (await Promise.all([1, 2].map(() => registerUser(world.url)))) as [TestUser, TestUser]
    await world.alice.post(roomPath(secret.roomId, 'invite'), { user_id: former.userId })
    await joinRoom(secret.roomId, former)
    for (const step of ['leave', 'forget']) await former.post(roomPath(secret.roomId, step))
    for (const user of [stranger, former])
      expect(JSON.stringify(await READINGS[name]!(user, secret))).not.toMatch(/the secret/)
  },
}))

const FEDERATED: Record<string, (secret: Secret) => [string, string, object?]> = {
  'an event': ({ eventId }) => ['GET', `event/${eventId}`],
  state: ({ roomId, eventId }) => ['GET', `state/${roomId}?event_id=${eventId}`],
  'the ids of the state': ({ roomId, eventId }) => ['GET', `state_ids/${roomId}?event_id=${eventId}`],
  history: ({ roomId, eventId }) => ['GET', `backfill/${roomId}?v=${eventId}&limit=100`],
  'the auth chain': ({ roomId, eventId }) => ['GET', `event_auth/${roomId}/${eventId}`],
  'missing events': ({ roomId, eventId }) => [
    'POST',
    `get_missing_events/${roomId}`,
    { earliest_events: [], latest_events: [eventId], limit: 50 },
  ],
  'the event of a time': ({ roomId }) => ['GET', `timestamp_to_event/${roomId}?ts=${Date.now()}&dir=b`],
  'the hierarchy': ({ roomId }) => ['GET', `hierarchy/${roomId}`],
}

const FEDERATED_READING: Attack[] = Object.keys(FEDERATED).map((name) => ({
  name: `a server asks for ${name} of a room that it is not in`,
  async attempt(world) {
    const [method, path, body] = FEDERATED[name]!(await secretRoom(world))
    const url = `/_matrix/federation/v1/${path.replace(/[!$]/g, encodeURIComponent)}`
    const { status, text } = await world.peer.send(world.home, {
      method,
      path: url,
      ...(body && { body: JSON.stringify(body) }),
    })
    expect([403, 404], text).toContain(status)
    expect(text).not.toMatch(/the secret/)
  },
}))

const INVITES: Attack[] = [
  {
    name: 'an ignored user invites a user thirty times, and takes back every other invite',
    async attempt(world) {
      const [mallory, victim] = (await Promise.all([1, 2].map(() => registerUser(world.url)))) as [TestUser, TestUser]
      await ignore(victim, mallory)
      const list = { lists: { all: { ranges: [[0, 99]], timeline_limit: 1, required_state: [] } } }
      const client = slidingClient(victim)
      await client.sync(list)
      const { next_batch } = await victim.get(`${v3}/sync`)
      for (let i = 0; i < 30; i++) {
        const roomId = await createRoom(mallory, { preset: 'private_chat', invite: [victim.userId] })
        if (i % 2 === 0) await mallory.post(roomPath(roomId, 'kick'), { user_id: victim.userId })
      }
      for (const told of [await client.sync(), await slidingClient(victim, { connId: 'fresh' }).sync(list)])
        expect([told.lists.all.count, told.rooms ?? {}]).toEqual([0, {}])
      expect((await victim.get(`${v3}/sync?since=${next_batch}`)).rooms).toBeUndefined()
    },
  },
]

const typingBy = (world: HostileWorld, roomId: string, user_id: string) => {
  const edus = [{ edu_type: 'm.typing', content: { room_id: roomId, user_id, typing: true } }]
  const body = { origin: world.peer.serverName, origin_server_ts: Date.now(), pdus: [], edus }
  return world.peer.ask(world.home, 'PUT', `/_matrix/federation/v1/send/${uniqueName()}`, body)
}
const EPHEMERAL: Attack[] = [
  {
    name: 'a peer says that a local user types, and that its user types in a room that it is not in',
    async attempt(world) {
      const { bob, alice, peer, roomId } = world
      const { roomId: secret } = await secretRoom(world)
      await typingBy(world, roomId, alice.userId)
      await typingBy(world, secret, peer.userId)
      const { rooms } = await bob.get(`${v3}/sync`)
      const ephemeral = [rooms.join[roomId], rooms.join[secret]].flatMap((room) => room.ephemeral.events)
      const typing = ephemeral.filter(({ type }: ClientEvent) => type === 'm.typing')
      expect(JSON.stringify(typing)).not.toMatch(new RegExp(`${alice.userId}|${peer.userId}`))
    },
  },
  {
    name: 'a user types and is kicked, again and again',
    async attempt(world) {
      const mallory = await registerUser(world.url)
      const { alice, bob, roomId } = world
      for (let i = 0; i < 5; i++) {
        await joinRoom(roomId, mallory)
        const path = roomPath(roomId, `typing/${encodeURIComponent(mallory.userId)}`)
        await mallory.put(path, { typing: true, timeout: 120_000 })
        await alice.post(roomPath(roomId, 'kick'), { user_id: mallory.userId })
        expect(await refusal(mallory, 'PUT', path, { typing: true })).toEqual(FORBIDDEN)
      }
      const { rooms } = await bob.get(`${v3}/sync`)
      expect(JSON.stringify(rooms.join[roomId].ephemeral)).not.toContain(mallory.userId)
    },
  },
]

describeAttacks('rooms', [
  ...REDACTIONS_BY_PEERS,
  ...REDACTIONS_BY_CLIENTS,
  ...READING,
  ...FEDERATED_READING,
  ...INVITES,
  ...EPHEMERAL,
])
