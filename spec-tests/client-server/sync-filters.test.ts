import { beforeEach, describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  bodiesOf,
  type ClientEvent,
  createRoom,
  eventPath,
  joinRoom,
  refusal,
  relating,
  roomOfTwo,
  roomPath,
  sendEvent,
  sendState,
  sendTexts,
  v3,
} from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#filtering */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string

beforeEach(async () => {
  ;({ alice, bob, roomId } = await roomOfTwo(url, { name: 'Tea' }))
})

const filterPath = (user: TestUser, id = '') => `${v3}/user/${encodeURIComponent(user.userId)}/filter${id && `/${id}`}`
const sync = (filter: object, query = '') =>
  alice.get(`${v3}/sync?filter=${encodeURIComponent(JSON.stringify(filter))}${query}`)
const roomOf = async (filter: object, query = '') => (await sync(filter, query)).rooms?.join?.[roomId]
const typesOf = (events: readonly ClientEvent[]) => events.map(({ type }) => type)

describe('a filter', () => {
  test('is kept, and used by its id', async () => {
    const filter = { room: { timeline: { limit: 1 } }, 'org.example.own': true }
    const { filter_id } = await alice.post(filterPath(alice), filter)
    expect(filter_id).not.toMatch(/^\{/)
    expect(await alice.get(filterPath(alice, filter_id))).toEqual(filter)
    const { rooms } = await alice.get(`${v3}/sync?filter=${filter_id}`)
    expect(rooms.join[roomId].timeline.events).toHaveLength(1)
  })

  test('is its owner’s', async () => {
    const { filter_id } = await alice.post(filterPath(alice), {})
    expect((await bob.ask('GET', filterPath(alice, filter_id))).status).toBe(403)
    expect(await refusal(bob, 'POST', filterPath(alice))).toEqual([403, 'M_FORBIDDEN'])
    expect(await refusal(alice, 'GET', filterPath(alice, '99999'))).toEqual([404, 'M_NOT_FOUND'])
  })

  test.each([
    { room: { timeline: { limit: -1 } } },
    { room: { rooms: 'x' } },
    { room: { timeline: { types: 'm.room.message' } } },
    { event_format: 'xml' },
    { room: [] },
    { presence: { senders: ['nobody'] } },
  ])('%j is none', async (filter) => {
    expect((await alice.ask('POST', filterPath(alice), filter)).status).toBe(400)
    const path = `${v3}/sync?filter=${encodeURIComponent(JSON.stringify(filter))}`
    expect((await alice.ask('GET', path)).status).toBe(400)
  })

  test('that is neither an id nor JSON is refused', async () => {
    expect((await alice.ask('GET', `${v3}/sync?filter=99999`)).status).toBe(400)
    expect((await alice.ask('GET', `${v3}/sync?filter=%7B`)).status).toBe(400)
  })
})

describe('of a timeline', () => {
  test.each([
    ['types', { types: ['m.room.message'] }, ['m.room.message']],
    ['a pattern of types', { types: ['*.topic', 'org.*'] }, ['org.example.x', 'm.room.topic']],
    ['types left out', { not_types: ['m.room.*'] }, ['org.example.x']],
    ['types of which some are left out', { types: ['m.room.*'], not_types: ['*.topic', '*.m*', '*.c*'] }, []],
  ])('%s', async (_, timeline, expected) => {
    await sendEvent(alice, roomId, {}, 'org.example.x')
    await sendState(alice, roomId, { type: 'm.room.topic', content: { topic: 'x' } })
    await sendText(bob, roomId, 'hello')
    const room = await roomOf({ room: { timeline: { ...timeline, limit: 100 } } })
    const types = typesOf(room.timeline.events).filter((type) =>
      ['org.example.x', 'm.room.topic', 'm.room.message'].includes(type),
    )
    expect(types).toEqual(expected)
  })

  test('senders, and senders left out', async () => {
    await sendTexts(alice, roomId, ['hers'])
    await sendTexts(bob, roomId, ['his'])
    const texts = async (timeline: object) => bodiesOf((await roomOf({ room: { timeline } })).timeline.events)
    expect(await texts({ senders: [bob.userId] })).toEqual(['his'])
    expect(await texts({ not_senders: [bob.userId] })).toEqual(['hers'])
    expect(await texts({ senders: [bob.userId], not_senders: [bob.userId] })).toEqual([])
  })

  test('with and without a URL', async () => {
    await sendEvent(alice, roomId, { msgtype: 'm.image', body: 'picture', url: 'mxc://example.org/x' })
    await sendText(alice, roomId, 'text')
    const texts = async (contains_url: boolean) =>
      bodiesOf((await roomOf({ room: { timeline: { contains_url, types: ['m.room.message'] } } })).timeline.events)
    expect(await texts(true)).toEqual(['picture'])
    expect(await texts(false)).toEqual(['text'])
  })

  test('its limit, with a token for what is before', async () => {
    await sendTexts(alice, roomId, ['0', '1', '2', '3'])
    const { timeline } = await roomOf({ room: { timeline: { limit: 2 } } })
    expect([bodiesOf(timeline.events), timeline.limited]).toEqual([['2', '3'], true])
    const before = await alice.get(roomPath(roomId, `messages?dir=b&limit=2&from=${timeline.prev_batch}`))
    expect(bodiesOf(before.chunk)).toEqual(['1', '0'])
  })
})

describe('of rooms', () => {
  test('some, and some left out', async () => {
    const other = await createRoom(alice)
    const joined = async (room: object) => Object.keys((await sync({ room })).rooms?.join ?? {})
    expect(await joined({ rooms: [other] })).toEqual([other])
    expect(await joined({ not_rooms: [other] })).toEqual([roomId])
    expect(await joined({ rooms: [other], not_rooms: [other] })).toEqual([])
    expect((await joined({})).toSorted()).toEqual([roomId, other].toSorted())
  })

  test('those that were left', async () => {
    await bob.post(roomPath(roomId, 'leave'))
    const left = async (include_leave: boolean) => {
      const filter = encodeURIComponent(JSON.stringify({ room: { include_leave } }))
      return Object.keys((await bob.get(`${v3}/sync?filter=${filter}`)).rooms?.leave ?? {})
    }
    expect(await left(true)).toEqual([roomId])
    expect(await left(false)).toEqual([])
  })
})

describe('of the rest', () => {
  test('state, ephemeral and account data of a room, account data and presence', async () => {
    const eventId = await sendText(alice, roomId, 'x')
    await alice.post(roomPath(roomId, eventPath('receipt/m.read', eventId)))
    const own = `${v3}/user/${encodeURIComponent(alice.userId)}`
    await alice.put(`${own}/account_data/org.example.a`, { a: 1 })
    await alice.put(`${own}/rooms/${encodeURIComponent(roomId)}/account_data/org.example.b`, { b: 1 })
    const nothing = { types: [] }
    const body = await sync({
      room: { state: { types: ['m.room.name'] }, timeline: { limit: 0 }, ephemeral: nothing, account_data: nothing },
      account_data: { types: ['org.example.*'] },
      presence: nothing,
    })
    const room = body.rooms.join[roomId]
    expect(typesOf(room.state.events)).toEqual(['m.room.name'])
    expect(room.ephemeral?.events ?? []).toEqual([])
    expect(room.account_data?.events ?? []).toEqual([])
    expect(typesOf(body.account_data.events)).toEqual(['org.example.a'])
    expect(body.presence?.events ?? []).toEqual([])
  })

  test('fields of events', async () => {
    await sendEvent(alice, roomId, { msgtype: 'm.text', body: 'x', 'a.b': { c: 1, d: 2 } })
    const event_fields = ['type', 'content.body', 'content.a\\.b.c']
    const filter = encodeURIComponent(
      JSON.stringify({ event_fields, room: { timeline: { types: ['m.room.message'] } } }),
    )
    // Without the schema check, which requires fields that this filter drops.
    const headers = { Authorization: `Bearer ${alice.accessToken}` }
    // biome-ignore lint/suspicious/noExplicitAny: as in harness/client.ts
    const body = (await (await fetch(`${url}${v3}/sync?filter=${filter}`, { headers })).json()) as any
    const { timeline } = body.rooms.join[roomId]
    expect(timeline.events).toEqual([{ type: 'm.room.message', content: { body: 'x', 'a.b': { c: 1 } } }])
  })

  test('the format of events between servers', async () => {
    await sendText(alice, roomId, 'x')
    const { timeline } = await roomOf({ event_format: 'federation', room: { timeline: { types: ['m.room.message'] } } })
    expect(timeline.events[0]).toMatchObject({
      auth_events: expect.any(Array),
      prev_events: expect.any(Array),
      depth: expect.any(Number),
      hashes: { sha256: expect.any(String) },
    })
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#lazy-loading-room-members */
describe('members loaded lazily', () => {
  const LAZY = { room: { state: { lazy_load_members: true }, timeline: { limit: 2 } } }
  const membersIn = (events: readonly ClientEvent[]) =>
    events.filter(({ type }) => type === 'm.room.member').map(({ state_key }) => state_key)

  test('only those who speak come, and oneself', async () => {
    const carol = await registerUser(url)
    await joinRoom(roomId, carol)
    await sendTexts(bob, roomId, ['1', '2'])
    const { state } = await roomOf(LAZY)
    expect(membersIn(state.events).toSorted()).toEqual([alice.userId, bob.userId].toSorted())
  })

  test('each once, unless asked otherwise', async () => {
    await sendTexts(bob, roomId, ['1', '2'])
    const { next_batch } = await sync(LAZY)
    await sendText(bob, roomId, '3')
    const again = await roomOf(LAZY, `&since=${next_batch}`)
    expect(bodiesOf(again.timeline.events)).toEqual(['3'])
    const redundant = { room: { ...LAZY.room, state: { lazy_load_members: true, include_redundant_members: true } } }
    expect(membersIn((await roomOf(redundant, `&since=${next_batch}`)).state.events)).toContain(bob.userId)
  })

  test('in pages of history too', async () => {
    await sendTexts(bob, roomId, ['1', '2'])
    const filter = encodeURIComponent('{"lazy_load_members":true}')
    const { state } = await alice.get(roomPath(roomId, `messages?dir=b&limit=2&filter=${filter}`))
    expect(membersIn(state)).toEqual([bob.userId])
  })

  test('and can be asked for as of a token', async () => {
    const { next_batch } = await alice.get(`${v3}/sync`)
    const carol = await registerUser(url)
    await joinRoom(roomId, carol)
    const members = async (query: string) =>
      membersIn((await alice.get(roomPath(roomId, `members?${query}`))).chunk).toSorted()
    expect(await members(`at=${next_batch}`)).toEqual([alice.userId, bob.userId].toSorted())
    expect(await members('')).toEqual([alice.userId, bob.userId, carol.userId].toSorted())
    await carol.post(roomPath(roomId, 'leave'))
    expect(await members('membership=leave')).toEqual([carol.userId])
    expect(await members('not_membership=leave')).toEqual([alice.userId, bob.userId].toSorted())
  })

  test('the summary names who is there instead', async () => {
    const nameless = await createRoom(alice, { preset: 'private_chat', invite: [bob.userId] })
    const { rooms } = await sync(LAZY)
    expect(rooms.join[nameless].summary).toEqual({
      'm.heroes': [bob.userId],
      'm.joined_member_count': 1,
      'm.invited_member_count': 1,
    })
  })
})

/** https://spec.matrix.org/v1.19/client-server-api/#filtering: events that others relate to. */
test('pages of history can be of events with certain relations', async () => {
  const [liked, plain] = await sendTexts(alice, roomId, ['liked', 'plain'])
  await sendEvent(
    bob,
    roomId,
    { 'm.relates_to': { rel_type: 'm.annotation', event_id: liked, key: '👍' } },
    'm.reaction',
  )
  await sendEvent(alice, roomId, relating('m.thread', plain!))
  const texts = async (filter: object) => {
    const query = encodeURIComponent(JSON.stringify(filter))
    return bodiesOf((await alice.get(roomPath(roomId, `messages?dir=b&filter=${query}`))).chunk)
  }
  expect(await texts({ related_by_rel_types: ['m.annotation'] })).toEqual(['liked'])
  expect(await texts({ related_by_rel_types: ['m.thread'] })).toEqual(['plain'])
  expect(await texts({ related_by_senders: [bob.userId] })).toEqual(['liked'])
})
