import { beforeEach, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  bodiesOf,
  type ClientEvent,
  createRoom,
  eventPath,
  historyOf,
  ignore,
  joinRoom,
  roomPath,
  sendState,
  syncedRoom,
  syncUntil,
  v3,
} from '../harness/rooms.ts'
import { slidingClient } from '../harness/sliding-client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#ignoring-users */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let carol: TestUser
let roomId: string

beforeEach(async () => {
  ;[alice, bob, carol] = (await Promise.all([1, 2, 3].map(() => registerUser(url)))) as [TestUser, TestUser, TestUser]
  roomId = await createRoom(alice)
  await joinRoom(roomId, bob, carol)
})

test('nothing that they say is served any more, and everything again later', async () => {
  await sendText(bob, roomId, 'before')
  await ignore(alice, bob)
  const { next_batch } = await alice.get(`${v3}/sync`)
  const ignored = await sendText(bob, roomId, 'ignored')
  await sendText(carol, roomId, 'heard')
  const incremental = await syncUntil(alice, next_batch, ({ rooms }) => rooms?.join?.[roomId]?.timeline.events)
  expect(bodiesOf(incremental)).toEqual(['heard'])
  expect(bodiesOf((await syncedRoom(alice, roomId)).timeline.events)).toEqual(['heard'])
  expect(bodiesOf(await historyOf(alice, roomId))).toEqual(['heard'])
  expect((await alice.ask('GET', roomPath(roomId, eventPath('event', ignored)))).status).toBeGreaterThanOrEqual(200)
  // Other users get them.
  expect(bodiesOf(await historyOf(carol, roomId))).toEqual(['before', 'ignored', 'heard'])
  await ignore(alice)
  expect(bodiesOf(await historyOf(alice, roomId))).toEqual(['before', 'ignored', 'heard'])
})

test('state that they set still is state', async () => {
  const levels = await alice.get(roomPath(roomId, 'state/m.room.power_levels/'))
  const content = { ...levels, state_default: 0, events: {} }
  await sendState(alice, roomId, { type: 'm.room.power_levels', content })
  await ignore(alice, bob)
  await sendState(bob, roomId, { type: 'm.room.name', content: { name: 'Bob’s' } })
  expect(await alice.get(roomPath(roomId, 'state/m.room.name/'))).toEqual({ name: 'Bob’s' })
  const { timeline, state } = await syncedRoom(alice, roomId)
  expect(JSON.stringify([timeline.events, state.events])).toContain('Bob’s')
})

test('their invites are not shown', async () => {
  await ignore(alice, bob)
  const { next_batch } = await alice.get(`${v3}/sync`)
  const invited = await createRoom(bob, { preset: 'private_chat', invite: [alice.userId] })
  const heard = await createRoom(carol, { preset: 'private_chat', invite: [alice.userId] })
  const invites = await syncUntil(alice, next_batch, ({ rooms }) => rooms?.invite?.[heard] && rooms.invite)
  expect(Object.keys(invites)).toEqual([heard])
  expect((await alice.get(`${v3}/sync`)).rooms.invite?.[invited]).toBeUndefined()
})

test('their receipts are sent by neither sync, at first or later', async () => {
  const eventId = await sendText(alice, roomId, 'read me')
  await ignore(alice, bob)
  const { next_batch } = await alice.get(`${v3}/sync`)
  const receipts = { receipts: { enabled: true } }
  const subscription = { room_subscriptions: { [roomId]: { required_state: [], timeline_limit: 1 } } }
  const sliding = slidingClient(alice)
  await sliding.sync({ ...subscription, extensions: receipts })
  for (const reader of [bob, carol]) await reader.post(roomPath(roomId, eventPath('receipt/m.read', eventId)))
  const readers = (content: Record<string, { 'm.read'?: object }> = {}) =>
    Object.keys(content[eventId]?.['m.read'] ?? {})
  const contentOf = ({ rooms }: { rooms?: { join?: Record<string, ClientEvent> } }) =>
    rooms?.join?.[roomId]?.ephemeral.events.find((event: ClientEvent) => event.type === 'm.receipt')?.content
  expect(await syncUntil(alice, next_batch, (body) => contentOf(body) && readers(contentOf(body)))).toEqual([
    carol.userId,
  ])
  expect(readers(contentOf(await alice.get(`${v3}/sync`)))).toEqual([carol.userId])
  const told = await sliding.until(({ extensions }) => extensions.receipts?.rooms?.[roomId] !== undefined)
  expect(readers(told.extensions.receipts.rooms[roomId].content)).toEqual([carol.userId])
  const again = await slidingClient(alice, { connId: 'other' }).sync({ ...subscription, extensions: receipts })
  expect(readers(again.extensions.receipts.rooms[roomId]?.content)).toEqual([carol.userId])
})

test('neither what they write wakes a client, nor counts as unread', async () => {
  await ignore(alice, bob)
  const { next_batch } = await alice.get(`${v3}/sync`)
  await sendText(bob, roomId, `${alice.userId} look`)
  const quiet = await alice.get(`${v3}/sync?since=${next_batch}&timeout=0`)
  expect(quiet.rooms?.join?.[roomId]).toBeUndefined()
  expect((await syncedRoom(alice, roomId)).unread_notifications).toEqual({ notification_count: 0, highlight_count: 0 })
})
