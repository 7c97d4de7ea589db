import { beforeEach, describe, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  type ClientEvent,
  eventPath,
  joinRoom,
  refusal,
  relating,
  roomOfTwo,
  roomPath,
  sendEvent,
  syncedRoom,
  syncUntil,
  v3,
} from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#receipts */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string
let eventId: string

beforeEach(async () => {
  ;({ alice, bob, roomId } = await roomOfTwo(url))
  eventId = await sendText(alice, roomId, 'read me')
})

const receiptPath = (type = 'm.read', id = eventId) => roomPath(roomId, eventPath(`receipt/${type}`, id))
const read = (body: object = {}, type = 'm.read', id = eventId) => bob.post(receiptPath(type, id), body)

/** Returns the receipts for events that a user gets. */
async function receiptsFor(user: TestUser): Promise<Record<string, ClientEvent>> {
  const { ephemeral } = await syncedRoom(user, roomId)
  return ephemeral.events.find(({ type }: ClientEvent) => type === 'm.receipt')?.content ?? {}
}

test('a receipt reaches all members of the room, with its time', async () => {
  await read()
  for (const user of [alice, bob]) {
    const receipt = (await receiptsFor(user))[eventId]!['m.read'][bob.userId]
    expect(Math.abs(receipt.ts - Date.now())).toBeLessThan(600_000)
    expect(receipt.thread_id).toBeUndefined()
  }
})

test('each comes once, and only the newest stays', async () => {
  const { next_batch } = await alice.get(`${v3}/sync`)
  await read()
  const first = await syncUntil(alice, next_batch, (body) => body.rooms?.join?.[roomId]?.ephemeral && body)
  expect(Object.keys(first.rooms.join[roomId].ephemeral.events[0].content)).toEqual([eventId])
  const later = await sendText(alice, roomId, 'later')
  await read({}, 'm.read', later)
  expect(Object.keys(await receiptsFor(alice))).toEqual([later])
  // An older receipt changes nothing.
  await read()
  expect(Object.keys(await receiptsFor(alice))).toEqual([later])
})

test('a private one reaches only its owner', async () => {
  await read({}, 'm.read.private')
  expect(await receiptsFor(alice)).toEqual({})
  expect((await receiptsFor(bob))[eventId]!['m.read.private'][bob.userId]).toBeDefined()
})

test('of a thread, of the main timeline and of the whole room, each on its own', async () => {
  const inThread = await sendEvent(alice, roomId, relating('m.thread', eventId))
  await read({ thread_id: 'main' })
  await read({ thread_id: eventId }, 'm.read', inThread)
  const receipts = await receiptsFor(alice)
  expect(receipts[eventId]!['m.read'][bob.userId].thread_id).toBe('main')
  expect(receipts[inThread]!['m.read'][bob.userId].thread_id).toBe(eventId)
})

/** https://spec.matrix.org/v1.19/client-server-api/#fully-read-markers */
describe('read markers', () => {
  const marker = async () =>
    (await syncedRoom(bob, roomId)).account_data.events.find(({ type }: ClientEvent) => type === 'm.fully_read')
      ?.content

  test('are account data, set by either endpoint', async () => {
    await read({}, 'm.fully_read')
    expect(await marker()).toEqual({ event_id: eventId })
    const later = await sendText(alice, roomId, 'later')
    const both = { 'm.fully_read': later, 'm.read': eventId, 'm.read.private': later }
    await bob.post(roomPath(roomId, 'read_markers'), both)
    expect(await marker()).toEqual({ event_id: later })
    expect((await receiptsFor(alice))[eventId]!['m.read'][bob.userId]).toBeDefined()
    expect((await receiptsFor(bob))[later]!['m.read.private'][bob.userId]).toBeDefined()
    expect(await receiptsFor(alice)).not.toHaveProperty([later])
  })

  test('can be set to nothing new', async () => {
    await bob.post(roomPath(roomId, 'read_markers'), {})
    expect(await marker()).toBeUndefined()
  })

  test('cannot be set as account data', async () => {
    const path = `${v3}/user/${encodeURIComponent(bob.userId)}/rooms/${encodeURIComponent(roomId)}/account_data/m.fully_read`
    expect((await bob.ask('PUT', path, { event_id: eventId })).status).toBe(405)
  })
})

test.each([
  ['an unknown type', () => receiptPath('org.example.none'), {}, 400],
  ['a thread that is no text', () => receiptPath(), { thread_id: 5 }, 400],
  ['an empty thread', () => receiptPath(), { thread_id: '' }, 400],
  ['the marker of a thread', () => receiptPath('m.fully_read'), { thread_id: 'main' }, 400],
])('%s is refused', async (_, path, body, status) => {
  expect((await bob.ask('POST', path(), body)).status).toBe(status)
  expect(await receiptsFor(bob)).toEqual({})
})

/** Element retries refused requests forever. */
test.each<[string, (user: TestUser) => Promise<unknown>]>([
  ['left', (user) => user.post(roomPath(roomId, 'leave'))],
  ['was kicked from', (user) => alice.post(roomPath(roomId, 'kick'), { user_id: user.userId })],
  ['was banned from', (user) => alice.post(roomPath(roomId, 'ban'), { user_id: user.userId })],
])('those of a user who %s the room are answered, and nobody gets them', async (_, goes) => {
  const leaver = await registerUser(url)
  await joinRoom(roomId, leaver)
  await goes(leaver)
  for (const type of ['m.read', 'm.read.private', 'm.fully_read'])
    expect(await leaver.ask('POST', receiptPath(type), {})).toMatchObject({ status: 200, body: {} })
  const markers = { 'm.fully_read': eventId, 'm.read': eventId, 'm.read.private': eventId }
  expect((await leaver.ask('POST', roomPath(roomId, 'read_markers'), markers)).status).toBe(200)
  expect(JSON.stringify(await receiptsFor(bob))).not.toContain(leaver.userId)
})

test('a user who is not in the room cannot send one', async () => {
  const stranger = await registerUser(url)
  expect(await refusal(stranger, 'POST', receiptPath())).toEqual([403, 'M_FORBIDDEN'])
})
