import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { RoomId } from '../../../core/ids.ts'
import type { TestClient } from '../../../testing/client-api.ts'
import {
  act,
  brief,
  ignore,
  send,
  setAccountData,
  setState,
  startSyncApi,
  sync,
  syncSince,
  tokenOf,
} from '../../../testing/sync-requests.ts'

let api: Awaited<ReturnType<typeof startSyncApi>>
let alice: TestClient
let bob: TestClient
let roomId: RoomId
let made = 0
beforeAll(async () => {
  api = await startSyncApi()
})
beforeEach(async () => {
  alice = await api.client(`alice${++made}`)
  bob = await api.client(`bob${made}`)
  roomId = await alice.createRoom({ preset: 'public_chat' })
  await act(bob, roomId, 'join')
})
afterAll(() => api.close())

const timeline = (filter: object) => ({ filter: { room: { timeline: filter } } })
const roomOf = async (client: TestClient, since: string, options = {}) =>
  (await syncSince(client, since, options)).rooms?.join?.[roomId]

test('a gap is filled by /messages: every event once, and its state changes are sent', async () => {
  const since = await tokenOf(bob)
  const ids: string[] = []
  for (let i = 0; i < 7; i++) ids.push(await send(alice, roomId, `m${i}`))
  const topic = await setState(alice, roomId, 'm.room.topic', { topic: 'in the gap' })
  ids.push(topic, await send(alice, roomId, 'm7'), await send(alice, roomId, 'm8'))
  const room = await roomOf(bob, since, timeline({ limit: 2 }))
  expect(room.timeline.limited).toBe(true)
  expect(room.state.events.map((event: { event_id: string }) => event.event_id)).toEqual([topic])
  const path = `/rooms/${roomId}/messages?dir=b&limit=100&from=${room.timeline.prev_batch}&to=${since}`
  const { chunk } = await bob.ok('GET', path)
  const all = [...chunk.reverse(), ...room.timeline.events].map((event: { event_id: string }) => event.event_id)
  expect(all).toEqual(ids)
})

test('a message that is redacted in a gap arrives empty', async () => {
  const since = await tokenOf(bob)
  const id = await send(alice, roomId, 'oops')
  await alice.ok('PUT', `/rooms/${roomId}/redact/${id}/r${made}`, {})
  const [event] = (await roomOf(bob, since)).timeline.events
  expect([event.event_id, event.content, event.unsigned.redacted_because.type]).toEqual([id, {}, 'm.room.redaction'])
})

test('state events that a filter drops from the timeline are sent with the state', async () => {
  const since = await tokenOf(bob)
  await send(alice, roomId, 'one')
  await setState(alice, roomId, 'm.room.topic', { topic: 'between' })
  await send(alice, roomId, 'two')
  const room = await roomOf(bob, since, timeline({ types: ['m.room.message'] }))
  expect([brief(room.timeline), brief(room.state)]).toEqual([['one', 'two'], ['m.room.topic']])
  const after = await roomOf(bob, since, { use_state_after: true })
  expect([after.state, brief(after.state_after)]).toEqual([undefined, ['m.room.topic']])
})

test('types [], limit 0 and not_rooms', async () => {
  const since = await tokenOf(bob)
  await send(alice, roomId, 'hello')
  expect(await roomOf(bob, since, timeline({ types: [] }))).toBeUndefined()
  expect((await roomOf(bob, since, timeline({ limit: 0 }))).timeline).toMatchObject({ events: [], limited: true })
  const notThis = { filter: { room: { not_rooms: [roomId] } } }
  expect(await roomOf(bob, since, notThis)).toBeUndefined()
  expect((await sync(bob, notThis)).rooms).toBeUndefined()
})

test('event_fields and event_format', async () => {
  const since = await tokenOf(bob)
  await send(alice, roomId, 'hello')
  const fields = await roomOf(bob, since, { filter: { event_fields: ['type', 'content.body'] } })
  expect(fields.timeline.events).toEqual([{ type: 'm.room.message', content: { body: 'hello' } }])
  const federation = await roomOf(bob, since, { filter: { event_format: 'federation' } })
  expect(Object.keys(federation.timeline.events[0])).toEqual(expect.arrayContaining(['auth_events', 'hashes', 'depth']))
})

test('lazy-loaded members: those who spoke, oneself, the heroes', async () => {
  const carol = await api.client(`carol${made}`)
  await act(carol, roomId, 'join')
  await setState(alice, roomId, 'm.room.name', { name: 'No heroes' })
  for (let i = 0; i < 3; i++) await send(carol, roomId, `m${i}`)
  const filter = { room: { state: { lazy_load_members: true }, timeline: { limit: 2 } } }
  const members = async (options = {}) => {
    const room = (await sync(bob, { filter, ...options })).rooms.join[roomId]
    return brief(room.state ?? room.state_after)!.filter((text) => text.startsWith('join'))
  }
  expect((await members()).sort()).toEqual([`join bob${made}`, `join carol${made}`])
  expect((await members({ use_state_after: true })).sort()).toEqual([`join bob${made}`, `join carol${made}`])
  await setState(alice, roomId, 'm.room.name', {})
  expect((await members()).sort()).toContain(`join alice${made}`)
})

test('heroes are who is there, and when nobody is left, who was', async () => {
  const summary = async () => (await sync(bob)).rooms.join[roomId].summary
  expect(await summary()).toEqual({
    'm.heroes': [alice.userId],
    'm.joined_member_count': 2,
    'm.invited_member_count': 0,
  })
  await act(alice, roomId, 'leave')
  expect(await summary()).toMatchObject({ 'm.heroes': [alice.userId], 'm.joined_member_count': 1 })
})

test('tokens that were never given out', async () => {
  for (const since of ['s1_999999999', 'garbage', 's1_', 't1_5', 's1_-1']) {
    const { status, body } = await bob.ask('GET', `/sync?since=${since}`)
    expect([since, status, body.errcode]).toEqual([since, 400, 'M_INVALID_PARAM'])
  }
})

test('ignored users: no invites, no messages, but state; at once also for a sync that waits', async () => {
  const since = await tokenOf(bob)
  await ignore(bob, alice)
  await send(alice, roomId, 'ignored')
  await setState(alice, roomId, 'm.room.topic', { topic: 'state' })
  const other = await alice.createRoom({ invite: [bob.userId] })
  const { rooms } = await syncSince(bob, since)
  expect(brief(rooms.join[roomId].timeline)).toEqual(['m.room.topic'])
  expect(rooms.invite?.[other]).toBeUndefined()
  await ignore(bob)
  expect(brief((await roomOf(bob, since)).timeline)).toEqual(['ignored', 'm.room.topic'])
})

test('typing starts and stops; a room may have only that to tell', async () => {
  const start = await tokenOf(bob)
  const type = (typing: boolean) =>
    alice.ok('PUT', `/rooms/${roomId}/typing/${alice.userId}`, { typing, ...(typing && { timeout: 20_000 }) })
  await type(true)
  const typing = await syncSince(bob, start, { use_state_after: true })
  const room = typing.rooms.join[roomId]
  expect(room.ephemeral.events).toEqual([{ type: 'm.typing', content: { user_ids: [alice.userId] } }])
  expect([room.timeline.events, room.state, room.state_after.events]).toEqual([[], undefined, []])
  await type(false)
  const stopped = await roomOf(bob, typing.next_batch)
  expect(stopped.ephemeral.events).toEqual([{ type: 'm.typing', content: { user_ids: [] } }])
})

test('private receipts and account data are their owner’s alone; removed account data is empty', async () => {
  const id = await send(alice, roomId, 'read me')
  const [forAlice, forBob] = [await tokenOf(alice), await tokenOf(bob)]
  await bob.ok('POST', `/rooms/${roomId}/receipt/m.read.private/${id}`, {})
  await setAccountData(bob, 'my.room', { a: 1 }, roomId)
  await setAccountData(bob, 'my.own', { a: 1 })
  expect((await syncSince(alice, forAlice)).rooms).toBeUndefined()
  expect(JSON.stringify(await sync(alice))).not.toMatch(/m\.read\.private|my\.room|my\.own/)
  const news = await syncSince(bob, forBob)
  expect(news.account_data.events).toEqual([{ type: 'my.own', content: { a: 1 } }])
  expect(news.rooms.join[roomId].account_data.events).toEqual([{ type: 'my.room', content: { a: 1 } }])
  expect(Object.keys(news.rooms.join[roomId].ephemeral.events[0].content[id])).toEqual(['m.read.private'])
})

test('full_state tells all state of rooms where nothing happened', async () => {
  const since = await tokenOf(bob)
  const room = await roomOf(bob, since, { full_state: true })
  expect(room.timeline.events).toEqual([])
  expect(brief(room.state)).toEqual(expect.arrayContaining(['m.room.create', `join alice${made}`, `join bob${made}`]))
})
