import { afterAll, beforeAll, expect, test } from 'vitest'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { roomEndpoints } from '../room-endpoints.ts'
import { roomReadingEndpoints } from '../room-reading-endpoints.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
let guest: TestClient
let room: string
let eventId: string

beforeAll(async () => {
  api = await startClientApi({ endpoints: [...roomEndpoints, ...roomReadingEndpoints] })
  alice = await api.client('alice')
  bob = await api.client('bob')
  guest = await api.client('guest', { guest: true })
  const created = await alice.createRoom({ preset: 'public_chat' })
  room = `/rooms/${encodeURIComponent(created)}`
  const state = { type: 'org.example/odd key', path: 'a/b %' }
  await alice.ok('PUT', `${room}/state/${encodeURIComponent(state.type)}/${encodeURIComponent(state.path)}`, {
    odd: true,
  })
  eventId = (await alice.ok('PUT', `${room}/send/m.room.message/1`, { msgtype: 'm.text', body: 'hi' })).event_id
})
afterAll(() => api.close())

const event = (id = eventId) => encodeURIComponent(id)

test('history: a page with tokens, the transaction id of the own device, and lazy members', async () => {
  const filter = encodeURIComponent(JSON.stringify({ lazy_load_members: true }))
  const page = await alice.ok('GET', `${room}/messages?dir=b&limit=1&filter=${filter}`)
  expect(page.chunk).toMatchObject([{ event_id: eventId, unsigned: { transaction_id: '1', membership: 'join' } }])
  expect(page.state).toMatchObject([{ type: 'm.room.member', state_key: alice.userId }])
  const next = await alice.ok('GET', `${room}/messages?dir=b&limit=1000&from=${page.end}`)
  expect(next.chunk.at(-1).type).toBe('m.room.create')
  expect(next.start).toBe(page.end)
  expect(next).not.toHaveProperty('end')
  expect((await alice.ok('GET', `${room}/messages`)).chunk[0].type).toBe('m.room.create')
})

test('one event, its context, and the event of a time', async () => {
  expect(await alice.ok('GET', `${room}/event/${event()}`)).toMatchObject({
    event_id: eventId,
    content: { body: 'hi' },
  })
  const context = await alice.ok('GET', `${room}/context/${event()}?limit=2`)
  expect(context).toMatchObject({
    event: { event_id: eventId },
    events_before: [{ type: 'org.example/odd key' }],
    events_after: [],
  })
  const now = Date.now() + 1000
  const path = `/../v1${room}/timestamp_to_event?dir=b&ts=${now}`
  expect(await alice.ok('GET', path)).toMatchObject({ event_id: eventId })
})

test('state, whole and in pieces, with keys of all kinds', async () => {
  const state = await alice.ok('GET', `${room}/state`)
  expect(state.map((one: { type: string }) => one.type)).toContain('m.room.join_rules')
  const odd = `${room}/state/${encodeURIComponent('org.example/odd key')}/${encodeURIComponent('a/b %')}`
  expect(await alice.ok('GET', odd)).toEqual({ odd: true })
  expect(await alice.ok('GET', `${odd}?format=event`)).toMatchObject({ state_key: 'a/b %', content: { odd: true } })
  for (const slash of ['', '/'])
    expect(await alice.ok('GET', `${room}/state/m.room.join_rules${slash}`)).toEqual({ join_rule: 'public' })
  expect(await alice.ask('GET', `${room}/state/m.none`)).toMatchObject({
    status: 404,
    body: { errcode: 'M_NOT_FOUND' },
  })
})

test('members and joined members', async () => {
  expect((await alice.ok('GET', `${room}/members?membership=join`)).chunk).toMatchObject([{ state_key: alice.userId }])
  expect((await alice.ok('GET', `${room}/members?not_membership=join`)).chunk).toEqual([])
  expect(Object.keys((await alice.ok('GET', `${room}/joined_members`)).joined)).toEqual([alice.userId])
})

test('relations and threads', async () => {
  const content = { msgtype: 'm.text', body: 're', 'm.relates_to': { rel_type: 'm.thread', event_id: eventId } }
  const reply = (await alice.ok('PUT', `${room}/send/m.room.message/2`, content)).event_id
  for (const path of ['', '/m.thread', '/m.thread/m.room.message']) {
    expect((await alice.ok('GET', `/../v1${room}/relations/${event()}${path}`)).chunk).toMatchObject([
      { event_id: reply },
    ])
  }
  expect(await alice.ok('GET', `/../v1${room}/relations/${event()}/m.reference?recurse=true`)).toEqual({
    chunk: [],
    recursion_depth: 3,
  })
  const threads = await alice.ok('GET', `/../v1${room}/threads?include=participated`)
  expect(threads.chunk).toMatchObject([
    { event_id: eventId, unsigned: { 'm.relations': { 'm.thread': { count: 1 } } } },
  ])
})

test('receipts, read markers and typing answer with an empty object', async () => {
  for (const type of ['m.read', 'm.read.private', 'm.fully_read']) {
    expect(await alice.ok('POST', `${room}/receipt/${type}/${event()}`, '')).toEqual({})
  }
  expect(await alice.ok('POST', `${room}/receipt/m.read/${event()}`, { thread_id: 'main' })).toEqual({})
  expect(await alice.ok('POST', `${room}/read_markers`, { 'm.fully_read': eventId, 'm.read': eventId })).toEqual({})
  const typing = `${room}/typing/${encodeURIComponent(alice.userId)}`
  expect(await alice.ok('PUT', typing, { typing: true, timeout: 2000 })).toEqual({})
  expect(await alice.ok('PUT', typing, { typing: false })).toEqual({})
})

test('guests read where the world may, and do not type', async () => {
  expect(await guest.ask('GET', `${room}/messages?dir=b`)).toMatchObject({
    status: 403,
    body: { errcode: 'M_FORBIDDEN' },
  })
  await alice.ok('PUT', `${room}/state/m.room.history_visibility`, { history_visibility: 'world_readable' })
  const last = (await alice.ok('PUT', `${room}/send/m.room.message/3`, { msgtype: 'm.text', body: 'open' })).event_id
  for (const path of [
    'messages?dir=b',
    'state',
    'members',
    `event/${event(last)}`,
    `context/${event(last)}`,
    'state/m.room.join_rules',
  ]) {
    expect(await guest.ask('GET', `${room}/${path}`), path).toMatchObject({ status: 200 })
  }
  const typing = await guest.ask('PUT', `${room}/typing/${encodeURIComponent(guest.userId)}`, { typing: true })
  expect(typing).toMatchObject({ status: 403, body: { errcode: 'M_GUEST_ACCESS_FORBIDDEN' } })
})

test.each([
  ['GET', 'messages?dir=x', undefined, 400, 'M_INVALID_PARAM'],
  ['GET', 'messages?dir=b&limit=-1', undefined, 400, 'M_INVALID_PARAM'],
  ['GET', 'messages?dir=b&from=nonsense', undefined, 400, 'M_INVALID_PARAM'],
  ['GET', 'messages?dir=b&filter={', undefined, 400, 'M_BAD_JSON'],
  ['GET', 'messages?dir=b&filter=[]', undefined, 400, 'M_BAD_JSON'],
  ['GET', 'members?membership=odd', undefined, 400, 'M_INVALID_PARAM'],
  ['GET', 'event/%00', undefined, 400, 'M_INVALID_PARAM'],
  ['GET', 'state/%00/%00', undefined, 404, 'M_NOT_FOUND'],
  ['GET', 'event/$none', undefined, 404, 'M_NOT_FOUND'],
  ['POST', 'receipt/m.odd/$e', {}, 400, 'M_INVALID_PARAM'],
  ['POST', 'receipt/m.read/$none', {}, 404, 'M_NOT_FOUND'],
  ['POST', 'receipt/m.read/$e', { thread_id: 1 }, 400, 'M_INVALID_PARAM'],
  ['POST', 'receipt/m.read/$e', { thread_id: '' }, 400, 'M_INVALID_PARAM'],
  ['POST', 'receipt/m.read/$e', '{', 400, 'M_NOT_JSON'],
  ['POST', 'read_markers', { 'm.read': 5 }, 400, 'M_BAD_JSON'],
  ['PUT', 'typing/@alice:hearth.test', {}, 400, 'M_MISSING_PARAM'],
  ['PUT', 'typing/@alice:hearth.test', { typing: 'yes' }, 400, 'M_BAD_JSON'],
  ['PUT', 'typing/@alice:hearth.test', { typing: true, timeout: 1.5 }, 400, 'M_BAD_JSON'],
  ['PUT', 'typing/@bob:hearth.test', { typing: true }, 403, 'M_FORBIDDEN'],
] as const)('%s %s %j: %d %s', async (method, path, body, status, errcode) => {
  expect(await alice.ask(method, `${room}/${path}`, body)).toMatchObject({ status, body: { errcode } })
})

test.each([
  'relations/$e/%00',
  'relations/$e?dir=x',
  'threads?limit=0',
  'threads?include=odd',
  'timestamp_to_event?dir=f',
])('GET v1 %s is refused', async (path) => {
  expect(await alice.ask('GET', `/../v1${room}/${path}`)).toMatchObject({ status: 400 })
})

test('a room that does not exist is forbidden, or has no such event', async () => {
  const none = `/rooms/${encodeURIComponent('!none:hearth.test')}`
  for (const path of ['messages?dir=b', 'state', 'state/m.room.name', 'members', 'joined_members']) {
    expect(await bob.ask('GET', `${none}/${path}`), path).toMatchObject({
      status: 403,
      body: { errcode: 'M_FORBIDDEN' },
    })
  }
  expect(await bob.ask('GET', `${none}/event/${event()}`)).toMatchObject({
    status: 404,
    body: { errcode: 'M_NOT_FOUND' },
  })
  expect(await bob.ask('POST', `${none}/receipt/m.read/${event()}`, {})).toMatchObject({ status: 403 })
})
