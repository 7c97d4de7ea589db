import { afterAll, beforeAll, expect, test } from 'vitest'
import { settleRooms } from '../../../storage/rooms/active-rooms.ts'
import type { TestClient } from '../../../testing/client-api.ts'
import { act, brief, send, setAccountData, setState, startSyncApi } from '../../../testing/sync-requests.ts'
import { LIST, slidingClient } from './test-sliding-sync.ts'

let api: Awaited<ReturnType<typeof startSyncApi>>
let names = 0
const client = (name: string): Promise<TestClient> => api.client(`${name}${++names}`)
const bodies = (room: { timeline?: object[] }) => brief({ events: (room?.timeline ?? []) as never })

beforeAll(async () => {
  api = await startSyncApi()
})
afterAll(() => api.close())

test('a first answer tells the newest rooms, and the next one only what is new', async () => {
  const alice = await client('alice')
  const quiet = await alice.createRoom({ name: 'Quiet' })
  const roomId = await alice.createRoom({ name: 'Loud' })
  await send(alice, roomId, 'one')
  const sliding = slidingClient(alice)
  const first = await sliding.sync()
  expect(first.lists).toEqual({ all: { count: 2 } })
  expect(Object.keys(first.rooms)).toEqual([roomId, quiet])
  const room = first.rooms[roomId]
  expect(room).toMatchObject({
    initial: true,
    name: 'Loud',
    joined_count: 1,
    invited_count: 0,
    limited: true,
    num_live: 0,
  })
  expect(room.timeline).toHaveLength(5)
  expect(room.required_state.map(({ type }: { type: string }) => type).sort()).toEqual(['m.room.member', 'm.room.name'])
  expect(room.bump_stamp).toBeGreaterThan(first.rooms[quiet].bump_stamp)

  expect((await sliding.sync()).rooms).toEqual({})
  await send(alice, roomId, 'two')
  const { rooms } = await sliding.sync()
  expect(Object.keys(rooms)).toEqual([roomId])
  expect(rooms[roomId]).toMatchObject({ limited: false, num_live: 1 })
  expect(rooms[roomId].initial).toBeUndefined()
  expect(bodies(rooms[roomId])).toEqual(['two'])
})

test('a client that waits is answered by the message that comes', async () => {
  const alice = await client('alice')
  const roomId = await alice.createRoom()
  const sliding = slidingClient(alice)
  await sliding.sync()
  const waiting = sliding.sync(undefined, { timeout: 20_000 })
  await send(alice, roomId, 'hello')
  expect(bodies((await waiting).rooms[roomId])).toEqual(['hello'])
})

test('an answer that the client lost is given again', async () => {
  const alice = await client('alice')
  const roomId = await alice.createRoom()
  const sliding = slidingClient(alice)
  const { pos } = await sliding.sync()
  await send(alice, roomId, 'hello')
  const lost = await sliding.sync()
  expect(bodies(lost.rooms[roomId])).toEqual(['hello'])
  await send(alice, roomId, 'again')
  const found = await sliding.sync(undefined, { from: pos })
  expect(bodies(found.rooms[roomId])).toEqual(['hello', 'again'])
  expect((await sliding.sync()).rooms).toEqual({})
})

test('a position that is not of the last two answers is unknown', async () => {
  const alice = await client('alice')
  const roomId = await alice.createRoom()
  const sliding = slidingClient(alice)
  const { pos: first } = await sliding.sync()
  for (const text of ['one', 'two']) {
    await send(alice, roomId, text)
    await sliding.sync()
  }
  const unknown = { status: 400, body: { errcode: 'M_UNKNOWN_POS' } }
  expect(await sliding.call({}, { from: first })).toMatchObject(unknown)
  expect(await sliding.call({}, { from: 'nonsense' })).toMatchObject(unknown)
  const bob = await client('bob')
  expect(await slidingClient(bob).call({}, { from: sliding.pos() })).toMatchObject(unknown)
  const old = sliding.pos()
  await slidingClient(alice).sync()
  expect(await sliding.call({}, { from: old })).toMatchObject(unknown)
})

test('a longer timeline is sent at once, and not again when it is requested again', async () => {
  const alice = await client('alice')
  const roomId = await alice.createRoom()
  for (const text of ['one', 'two', 'three']) await send(alice, roomId, text)
  const sliding = slidingClient(alice)
  const short = { ...LIST, timeline_limit: 1 }
  expect(bodies((await sliding.sync({ lists: { all: short } })).rooms[roomId])).toEqual(['three'])
  const opened = { lists: { all: short }, room_subscriptions: { [roomId]: { ...LIST, timeline_limit: 3 } } }
  const { rooms } = await sliding.sync(opened, { timeout: 20_000 })
  expect(rooms[roomId]).toMatchObject({ unstable_expanded_timeline: true, limited: true, num_live: 0 })
  expect(bodies(rooms[roomId])).toEqual(['one', 'two', 'three'])
  expect((await sliding.sync({ lists: { all: short } })).rooms).toEqual({})
  expect((await sliding.sync(opened)).rooms).toEqual({})
})

test('more required state is sent at once', async () => {
  const alice = await client('alice')
  const roomId = await alice.createRoom({ topic: 'Cats' })
  const sliding = slidingClient(alice)
  await sliding.sync()
  const more = { ...LIST, required_state: [...LIST.required_state, ['m.room.topic', '']] }
  const { rooms } = await sliding.sync({ lists: { all: more } }, { timeout: 20_000 })
  expect(rooms[roomId].required_state).toMatchObject([{ type: 'm.room.topic', content: { topic: 'Cats' } }])
  expect(rooms[roomId].timeline).toEqual([])
})

test('invites are stripped, and become rooms by joining', async () => {
  const [alice, bob] = [await client('alice'), await client('bob')]
  const roomId = await alice.createRoom({ name: 'Club', preset: 'private_chat' })
  const sliding = slidingClient(bob)
  expect((await sliding.sync()).lists.all.count).toBe(0)
  await act(alice, roomId, 'invite', bob)
  const { rooms, lists } = await sliding.sync()
  expect(lists.all.count).toBe(1)
  expect(rooms[roomId].timeline).toBeUndefined()
  expect(rooms[roomId].invite_state.map(({ type }: { type: string }) => type)).toContain('m.room.name')
  await act(bob, roomId, 'join')
  const joined = (await sliding.sync()).rooms[roomId]
  expect(joined).toMatchObject({ initial: true, name: 'Club', joined_count: 2 })
  await act(bob, roomId, 'leave')
  const left = await sliding.sync()
  expect(brief({ events: left.rooms[roomId].timeline })!.at(-1)).toMatch(/^leave bob/)
  expect(left.lists.all.count).toBe(0)
  await send(alice, roomId, 'secret')
  expect((await sliding.sync()).rooms).toEqual({})
})

test('a kicked user sees the kick, and nothing after it', async () => {
  const [alice, bob] = [await client('alice'), await client('bob')]
  const roomId = await alice.createRoom({ preset: 'public_chat' })
  await act(bob, roomId, 'join')
  await act(alice, roomId, 'kick', bob)
  await send(alice, roomId, 'secret')
  const { rooms, lists } = await slidingClient(bob).sync()
  expect(lists.all.count).toBe(1)
  expect(brief({ events: rooms[roomId].timeline })!.at(-1)).toMatch(/^leave bob/)
  expect(JSON.stringify(rooms)).not.toContain('secret')
})

test('lists filter', async () => {
  const [alice, bob] = [await client('alice'), await client('bob')]
  const plain = await alice.createRoom({ name: 'Plain' })
  const encryption = { type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }
  const secret = await alice.createRoom({ name: 'Secret cats', initial_state: [encryption] })
  const space = await alice.createRoom({ name: 'Space', creation_content: { type: 'm.space' } })
  await setState(alice, space, 'm.space.child', { via: ['hearth.test'] }, plain)
  const invite = await bob.createRoom({ invite: [alice.userId] })
  await setAccountData(alice, 'm.direct', { [bob.userId]: [secret] })
  await alice.ok('PUT', `/user/${alice.userId}/rooms/${plain}/tags/m.favourite`, {})
  const filtered = async (filters: object) => {
    const { lists, rooms } = await slidingClient(alice).sync({ lists: { all: { ...LIST, filters } } })
    expect(lists.all.count).toBe(Object.keys(rooms).length)
    return new Set(Object.keys(rooms))
  }
  expect(await filtered({})).toEqual(new Set([plain, secret, space, invite]))
  expect(await filtered({ is_encrypted: true })).toEqual(new Set([secret]))
  expect(await filtered({ is_encrypted: false, is_invite: false })).toEqual(new Set([plain, space]))
  expect(await filtered({ is_invite: true })).toEqual(new Set([invite]))
  expect(await filtered({ is_dm: true })).toEqual(new Set([secret]))
  expect(await filtered({ is_dm: false, is_invite: false })).toEqual(new Set([plain, space]))
  expect(await filtered({ room_types: ['m.space'] })).toEqual(new Set([space]))
  expect(await filtered({ room_types: [null], is_invite: false })).toEqual(new Set([plain, secret]))
  expect(await filtered({ not_room_types: ['m.space'] })).toEqual(new Set([plain, secret, invite]))
  expect(await filtered({ tags: ['m.favourite'] })).toEqual(new Set([plain]))
  expect(await filtered({ not_tags: ['m.favourite'], is_invite: false })).toEqual(new Set([secret, space]))
  expect(await filtered({ spaces: [space] })).toEqual(new Set([plain]))
  expect(await filtered({ room_name_like: 'CATS' })).toEqual(new Set([secret]))
})

test('a window shows its part of the list, and a wider one the rest', async () => {
  const alice = await client('alice')
  const roomIds: string[] = []
  for (let i = 0; i < 4; i++) roomIds.unshift(await alice.createRoom())
  const sliding = slidingClient(alice)
  const window = (last: number) => ({ lists: { all: { ...LIST, ranges: [[0, last]] } } })
  const first = await sliding.sync(window(1))
  expect([Object.keys(first.rooms), first.lists.all.count]).toEqual([roomIds.slice(0, 2), 4])
  expect(Object.keys((await sliding.sync(window(3), { timeout: 20_000 })).rooms)).toEqual(roomIds.slice(2))
  await sliding.sync(window(0))
  await send(alice, roomIds[3] as never, 'up')
  await send(alice, roomIds[2] as never, 'higher')
  expect(Object.keys((await sliding.sync()).rooms)).toEqual([roomIds[2]])
  const rest = await sliding.sync(window(3))
  expect(bodies(rest.rooms[roomIds[3]!])).toEqual(['up'])
})

test('lists are in the order of the last events, whether or not they have been settled', async () => {
  const [alice, bob] = [await client('alice'), await client('bob')]
  const [a, b, c] = [
    await alice.createRoom(),
    await alice.createRoom(),
    await bob.createRoom({ invite: [alice.userId] }),
  ]
  const settle = (most: number) => api.app.database.write((tx) => settleRooms(tx, { most, limit: 1000 }))
  const order = async () => Object.keys((await slidingClient(alice).sync()).rooms)
  const news = slidingClient(alice, 'news')
  await news.sync()
  expect(await order()).toEqual([c, b, a])
  for (const most of [1, 0]) {
    await settle(most)
    expect(await order()).toEqual([c, b, a])
  }
  await send(alice, a, 'up')
  expect(await order()).toEqual([a, c, b])
  await act(alice, c, 'join')
  await send(bob, c, 'higher')
  expect(await order()).toEqual([c, a, b])
  await settle(1)
  expect(await order()).toEqual([c, a, b])
  expect(Object.keys((await news.sync()).rooms)).toEqual([c, a])
})
