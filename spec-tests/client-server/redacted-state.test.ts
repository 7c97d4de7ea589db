import { beforeEach, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, type TestUser, uniqueName } from '../harness/client.ts'
import { createRoom, eventPath, joinRoom, roomPath, sendState, syncUntil, v1, v3 } from '../harness/rooms.ts'
import { slidingClient } from '../harness/sliding-client.ts'

/** A redaction of current state is a state change for everything that is computed from state. */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser

beforeEach(async () => {
  ;[alice, bob] = (await Promise.all([registerUser(url), registerUser(url)])) as [TestUser, TestUser]
})

let transactions = 0
const redact = (user: TestUser, roomId: string, eventId: string) =>
  user.put(roomPath(roomId, `${eventPath('redact', eventId)}/s${process.pid}.${++transactions}`))
const until = (check: () => Promise<void>): Promise<unknown> =>
  pollUntil('the redaction has its effect', () => check().then(() => true))

/** The public description of a room for non-members. */
const OUTSIDE: Record<string, (roomId: string) => Promise<object>> = {
  'the directory': async (roomId) => {
    const { chunk } = await bob.post(`${v3}/publicRooms`, { limit: 500 })
    return chunk.find((room: { room_id: string }) => room.room_id === roomId)
  },
  'the summary': (roomId) => bob.get(`${v1}/room_summary/${encodeURIComponent(roomId)}`),
  'the hierarchy': async (roomId) => (await bob.get(roomPath(roomId, 'hierarchy', v1))).rooms[0],
}

const SHOWN = [
  { type: 'm.room.name', content: { name: 'Abuse' }, before: { name: 'Abuse' } },
  { type: 'm.room.topic', content: { topic: 'Abuse' }, before: { topic: 'Abuse' } },
  { type: 'm.room.avatar', content: { url: 'mxc://a.b/abuse' }, before: { avatar_url: 'mxc://a.b/abuse' } },
  { type: 'm.room.guest_access', content: { guest_access: 'can_join' }, before: { guest_can_join: true } },
]
const EMPTY = { guest_can_join: false }

describe.each(SHOWN)('a redacted $type', ({ type, content, before }) => {
  test.each(Object.keys(OUTSIDE))('is gone from %s', async (where) => {
    const roomId = await createRoom(alice, { visibility: 'public', preset: 'private_chat', initial_state: OPEN })
    const eventId = await sendState(alice, roomId, { type, content })
    await until(async () => expect(await OUTSIDE[where]!(roomId)).toMatchObject(before))
    await redact(alice, roomId, eventId)
    const [key] = Object.keys(before) as [keyof typeof EMPTY]
    await until(async () => {
      const room = (await OUTSIDE[where]!(roomId)) as Record<string, unknown>
      expect(room[key]).toBe(EMPTY[key])
    })
  })
})
const OPEN = [{ type: 'm.room.join_rules', state_key: '', content: { join_rule: 'public' } }]

test('a redacted canonical alias is gone from the directory and its search', async () => {
  const roomId = await createRoom(alice, { visibility: 'public', preset: 'private_chat', initial_state: OPEN })
  const alias = `#${uniqueName('alias')}:${alice.userId.replace(/^[^:]*:/, '')}`
  await alice.put(`${v3}/directory/room/${encodeURIComponent(alias)}`, { room_id: roomId })
  const eventId = await sendState(alice, roomId, { type: 'm.room.canonical_alias', content: { alias } })
  const found = async () => {
    const { chunk } = await bob.post(`${v3}/publicRooms`, { filter: { generic_search_term: alias } })
    return chunk.map((room: { room_id: string }) => room.room_id)
  }
  expect(await found()).toEqual([roomId])
  await redact(alice, roomId, eventId)
  await until(async () => expect(await found()).toEqual([]))
})

test('an older state event that is redacted changes nothing of what is current', async () => {
  const roomId = await createRoom(alice, { visibility: 'public', preset: 'private_chat', initial_state: OPEN })
  const first = await sendState(alice, roomId, { type: 'm.room.name', content: { name: 'First' } })
  await sendState(alice, roomId, { type: 'm.room.name', content: { name: 'Second' } })
  await redact(alice, roomId, first)
  expect(await OUTSIDE['the directory']!(roomId)).toMatchObject({ name: 'Second' })
})

test('a redacted member event takes the name and avatar out of lists of members', async () => {
  const roomId = await createRoom(alice)
  await joinRoom(roomId, bob)
  const content = { membership: 'join', displayname: 'Abuse', avatar_url: 'mxc://a.b/abuse' }
  const eventId = await sendState(bob, roomId, { type: 'm.room.member', key: bob.userId, content })
  const shown = async () => (await alice.get(roomPath(roomId, 'joined_members'))).joined[bob.userId]
  await until(async () => expect(await shown()).toMatchObject({ display_name: 'Abuse', avatar_url: 'mxc://a.b/abuse' }))
  await redact(alice, roomId, eventId)
  await until(async () => expect(JSON.stringify(await shown())).not.toMatch(/abuse/i))
})

describe('sync', () => {
  test('names the heroes of a room whose name was redacted', async () => {
    const roomId = await createRoom(alice, { name: 'Abuse' })
    await joinRoom(roomId, bob)
    const [name] = (await alice.get(roomPath(roomId, 'state'))).filter(
      ({ type }: { type: string }) => type === 'm.room.name',
    )
    const { next_batch, rooms } = await bob.get(`${v3}/sync`)
    expect(rooms.join[roomId].summary['m.heroes']).toBeUndefined()
    await redact(alice, roomId, name.event_id)
    const heroes = await syncUntil(bob, next_batch, (body) => body.rooms?.join?.[roomId]?.summary?.['m.heroes'])
    expect(heroes).toEqual([alice.userId])
  })

  test.each([
    ['state', ''],
    ['state_after', '&use_state_after=true'],
  ])('tells the redacted event as %s, also where the redaction is in the gap of a timeline', async (section, query) => {
    const roomId = await createRoom(alice, { name: 'Abuse' })
    await joinRoom(roomId, bob)
    const named = await sendState(alice, roomId, { type: 'm.room.name', content: { name: 'Worse' } })
    const filter = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 1 } } }))
    const { next_batch } = await bob.get(`${v3}/sync?filter=${filter}${query}`)
    await redact(alice, roomId, named)
    for (const topic of ['one', 'two', 'three'])
      await sendState(alice, roomId, { type: 'm.room.topic', content: { topic } })
    await pollUntil('all has arrived', async () => {
      const { chunk } = await bob.get(roomPath(roomId, 'messages?dir=b&limit=1'))
      return chunk[0].content.topic === 'three'
    })
    const room = (await bob.get(`${v3}/sync?since=${next_batch}&filter=${filter}${query}`)).rooms.join[roomId]
    expect(room.timeline.limited).toBe(true)
    const told = room[section].events.filter(({ type }: { type: string }) => type === 'm.room.name')
    expect(told).toMatchObject([{ event_id: named, content: {} }])
  })
})

describe('sliding sync', () => {
  const LIST = {
    ranges: [[0, 9]],
    timeline_limit: 1,
    required_state: [
      ['m.room.name', ''],
      ['m.room.topic', ''],
    ],
  }

  test.each(['redacted', 'replaced'])('tells a connection of a name that was %s, and of the heroes', async (how) => {
    const roomId = await createRoom(alice)
    await joinRoom(roomId, bob)
    const eventId = await sendState(alice, roomId, { type: 'm.room.name', content: { name: 'Abuse' } })
    const client = slidingClient(bob)
    expect((await client.sync({ lists: { all: LIST } })).rooms[roomId].name).toBe('Abuse')
    if (how === 'redacted') await redact(alice, roomId, eventId)
    else await sendState(alice, roomId, { type: 'm.room.name', content: {} })
    const { rooms } = await client.until((body) => body.rooms[roomId]?.heroes !== undefined)
    expect(rooms[roomId].heroes).toMatchObject([{ user_id: alice.userId }])
    expect(rooms[roomId].name ?? null).toBeNull()
    expect(rooms[roomId].required_state).toMatchObject([{ type: 'm.room.name', content: {} }])
    const fresh = await slidingClient(bob, { connId: 'fresh' }).sync({ lists: { all: LIST } })
    expect(fresh.rooms[roomId].name).toBeUndefined()
  })

  test('tells it also to a connection whose window comes to the room much later', async () => {
    const roomId = await createRoom(alice)
    await joinRoom(roomId, bob)
    const eventId = await sendState(alice, roomId, { type: 'm.room.topic', content: { topic: 'Abuse' } })
    const other = await createRoom(bob)
    const client = slidingClient(bob)
    const one = { lists: { all: { ...LIST, ranges: [[0, 0]] } } }
    const subscribed = { room_subscriptions: { [roomId]: { timeline_limit: 1, required_state: LIST.required_state } } }
    await client.sync({ ...one, ...subscribed })
    await redact(alice, roomId, eventId)
    for (const topic of ['one', 'two']) await sendState(alice, roomId, { type: 'org.example.note', content: { topic } })
    await sendState(bob, other, { type: 'm.room.topic', content: { topic: 'newest' } })
    await client.sync(one)
    await sendState(bob, other, { type: 'm.room.topic', content: { topic: 'newer still' } })
    await client.sync(one)
    await pollUntil('the topic comes as it is now', async () => {
      const { rooms } = await client.sync(subscribed)
      return rooms[roomId]?.required_state?.some(
        (event: { event_id: string; content: object }) =>
          event.event_id === eventId && Object.keys(event.content).length === 0,
      )
    })
  })

  test('takes a room whose m.room.encryption was redacted out of the encrypted ones', async () => {
    const roomId = await createRoom(alice)
    await joinRoom(roomId, bob)
    const content = { algorithm: 'm.megolm.v1.aes-sha2' }
    const eventId = await sendState(alice, roomId, { type: 'm.room.encryption', content })
    const count = async () => {
      const client = slidingClient(bob, { connId: uniqueName() })
      return (await client.sync({ lists: { all: { ...LIST, filters: { is_encrypted: true } } } })).lists.all.count
    }
    await until(async () => expect(await count()).toBe(1))
    await redact(alice, roomId, eventId)
    await until(async () => expect(await count()).toBe(0))
  })
})
