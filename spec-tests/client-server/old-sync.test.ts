import { beforeEach, describe, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import {
  bodiesOf,
  type ClientEvent,
  createRoom,
  eventPath,
  joinRoom,
  refusal,
  roomOfTwo,
  roomPath,
  sendState,
  v3,
} from '../harness/rooms.ts'

/** The endpoints that preceded /sync, deprecated and still specified. */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string

beforeEach(async () => {
  ;({ alice, bob, roomId } = await roomOfTwo(url, { name: 'Tea' }))
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3initialsync */
test('/initialSync has all rooms, and a token for /events', async () => {
  await sendText(bob, roomId, 'hello')
  const { rooms, end, presence } = await alice.get(`${v3}/initialSync?limit=3`)
  expect(Array.isArray(presence)).toBe(true)
  const room = rooms.find(({ room_id }: ClientEvent) => room_id === roomId)
  expect(room.membership).toBe('join')
  expect(room.messages.chunk).toHaveLength(3)
  expect(bodiesOf(room.messages.chunk)).toEqual(['hello'])
  expect(room.state.find(({ type }: ClientEvent) => type === 'm.room.name').content.name).toBe('Tea')
  const waiting = alice.get(`${v3}/events?from=${end}&timeout=20000`)
  const eventId = await sendText(bob, roomId, 'news')
  const news = await waiting
  expect(news.chunk.map(({ event_id }: ClientEvent) => event_id)).toContain(eventId)
  expect(news.end).not.toBe(end)
})

test('/initialSync has invites', async () => {
  const invited = await createRoom(alice, { preset: 'private_chat', invite: [bob.userId] })
  const { rooms } = await bob.get(`${v3}/initialSync`)
  const room = rooms.find(({ room_id }: ClientEvent) => room_id === invited)
  expect(room.membership).toBe('invite')
  expect(room.invite).toMatchObject({ type: 'm.room.member', sender: alice.userId, state_key: bob.userId })
})

test('/initialSync has left rooms only if asked, as they were then', async () => {
  const declined = await createRoom(alice, { preset: 'private_chat', invite: [bob.userId] })
  await bob.post(roomPath(declined, 'leave'))
  const banned = await createRoom(alice)
  await joinRoom(banned, bob)
  await alice.post(roomPath(banned, 'ban'), { user_id: bob.userId })
  const forgotten = await createRoom(alice)
  await joinRoom(forgotten, bob)
  await bob.post(roomPath(forgotten, 'leave'))
  await bob.post(roomPath(forgotten, 'forget'))
  await sendText(alice, roomId, 'seen')
  await bob.post(roomPath(roomId, 'leave'))
  await sendText(alice, roomId, 'too late')
  await sendState(alice, roomId, { type: 'm.room.name', content: { name: 'Coffee' } })
  expect((await bob.get(`${v3}/initialSync`)).rooms).toEqual([])

  const { rooms } = await bob.get(`${v3}/initialSync?archived=true&limit=5`)
  const memberships = rooms.map(({ room_id, membership }: ClientEvent) => [room_id, membership])
  expect(Object.fromEntries(memberships)).toEqual({ [declined]: 'leave', [banned]: 'ban', [roomId]: 'leave' })
  const left = rooms.find(({ room_id }: ClientEvent) => room_id === roomId)
  expect(bodiesOf(left.messages.chunk)).toEqual(['seen'])
  expect(left.state.find(({ type }: ClientEvent) => type === 'm.room.name').content.name).toBe('Tea')
})

test('/initialSync says who is there', async () => {
  await bob.put(`${v3}/presence/${encodeURIComponent(bob.userId)}/status`, { presence: 'online' })
  const others = await pollUntil('Bob is there', async () => {
    const { presence } = await alice.get(`${v3}/initialSync`)
    const found = presence.filter(({ sender }: ClientEvent) => sender === bob.userId)
    return found.length > 0 && found
  })
  expect(others).toEqual([expect.objectContaining({ type: 'm.presence', sender: bob.userId })])
  expect(others[0].content.presence).toBe('online')
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidinitialsync */
test('/rooms/…/initialSync has one room', async () => {
  await sendText(bob, roomId, 'hello')
  const room = await alice.get(roomPath(roomId, 'initialSync?limit=2'))
  expect(room).toMatchObject({ room_id: roomId, membership: 'join' })
  expect(bodiesOf(room.messages.chunk)).toEqual(['hello'])
  const before = await alice.get(roomPath(roomId, `messages?dir=b&limit=1&from=${room.messages.start}`))
  expect(before.chunk).toHaveLength(1)
  const stranger = await registerUser(url)
  expect(await refusal(stranger, 'GET', roomPath(roomId, 'initialSync'))).toEqual([403, 'M_FORBIDDEN'])
})

test('/rooms/…/initialSync after leaving ends there', async () => {
  await bob.post(roomPath(roomId, 'leave'))
  await sendText(alice, roomId, 'too late')
  const room = await bob.get(roomPath(roomId, 'initialSync'))
  expect(room.membership).toBe('leave')
  expect(JSON.stringify(room)).not.toContain('too late')
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3events */
test('/events without news ends when its time is over, and refuses nonsense', async () => {
  const { end } = await alice.get(`${v3}/events?timeout=0`)
  const { chunk } = await alice.get(`${v3}/events?from=${end}&timeout=100`)
  expect(chunk.filter(({ type }: ClientEvent) => type !== 'm.presence')).toEqual([])
  expect((await alice.ask('GET', `${v3}/events?from=nonsense`)).status).toBe(400)
})

test('/events with an empty token tells what comes from now on', async () => {
  const waiting = alice.get(`${v3}/events?from=&timeout=20000`)
  const { end } = await alice.get(`${v3}/events?from=`)
  expect(end).toEqual(expect.any(String))
  await pollUntil('something happens', async () => {
    await sendText(bob, roomId, 'news')
    return Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 50))])
  })
  expect((await waiting).chunk.length).toBeGreaterThan(0)
})

/** Deployed bots do not support /sync. */
describe('/events tells', () => {
  const ofAlice = () => `${v3}/user/${encodeURIComponent(alice.userId)}`
  test.each<[string, () => Promise<unknown>, () => object]>([
    [
      'typing',
      () => bob.put(roomPath(roomId, `typing/${encodeURIComponent(bob.userId)}`), { typing: true, timeout: 30_000 }),
      () => ({ type: 'm.typing', room_id: roomId, content: { user_ids: [bob.userId] } }),
    ],
    [
      'presence',
      () =>
        bob.put(`${v3}/presence/${encodeURIComponent(bob.userId)}/status`, { presence: 'online', status_msg: 'tea' }),
      () => ({ type: 'm.presence', content: expect.objectContaining({ user_id: bob.userId, status_msg: 'tea' }) }),
    ],
    [
      'tags',
      () => alice.put(`${ofAlice()}/rooms/${encodeURIComponent(roomId)}/tags/m.favourite`, { order: 0.5 }),
      () => ({ type: 'm.tag', room_id: roomId, content: { tags: { 'm.favourite': { order: 0.5 } } } }),
    ],
    [
      'account data of a room',
      () => alice.put(`${ofAlice()}/rooms/${encodeURIComponent(roomId)}/account_data/org.example.r`, { is: 'kept' }),
      () => ({ type: 'org.example.r', room_id: roomId, content: { is: 'kept' } }),
    ],
    [
      'account data',
      () => alice.put(`${ofAlice()}/account_data/org.example.a`, { is: 'kept' }),
      () => ({ type: 'org.example.a', content: { is: 'kept' } }),
    ],
  ])('%s', async (_, happens, told) => {
    const { end } = await alice.get(`${v3}/events`)
    await happens()
    await expectTold(end, told())
  })

  test('receipts', async () => {
    const eventId = await sendText(alice, roomId, 'read me')
    const { end } = await alice.get(`${v3}/events`)
    await bob.post(roomPath(roomId, eventPath('receipt/m.read', eventId)))
    const content = { [eventId]: { 'm.read': { [bob.userId]: { ts: expect.any(Number) } } } }
    await expectTold(end, { type: 'm.receipt', room_id: roomId, content })
    const whole = await alice.get(`${v3}/initialSync`)
    expect(whole.receipts).toContainEqual({ type: 'm.receipt', room_id: roomId, content })
    const room = await alice.get(roomPath(roomId, 'initialSync'))
    expect(room.receipts).toEqual([{ type: 'm.receipt', room_id: roomId, content }])
    expect(room.presence).toEqual(expect.any(Array))
  })

  test('a stranger who peeks nothing of it', async () => {
    const content = { history_visibility: 'world_readable' }
    await sendState(alice, roomId, { type: 'm.room.history_visibility', content })
    const eventId = await sendText(alice, roomId, 'read me')
    const stranger = await registerUser(url)
    const { end } = await stranger.get(`${v3}/events?room_id=${encodeURIComponent(roomId)}`)
    await bob.post(roomPath(roomId, eventPath('receipt/m.read', eventId)))
    await bob.put(roomPath(roomId, `typing/${encodeURIComponent(bob.userId)}`), { typing: true, timeout: 30_000 })
    const last = await sendText(alice, roomId, 'last')
    const { chunk } = await stranger.get(`${v3}/events?room_id=${encodeURIComponent(roomId)}&from=${end}&timeout=20000`)
    expect(chunk.map(({ event_id }: ClientEvent) => event_id)).toEqual([last])
    const room = await stranger.get(roomPath(roomId, 'initialSync'))
    expect([room.receipts, room.presence]).toEqual([[], []])
  })

  async function expectTold(from: string, event: object): Promise<void> {
    let since = from
    await pollUntil('it is told', async () => {
      const { chunk, end } = await alice.get(`${v3}/events?from=${since}&timeout=1000`)
      since = end
      return chunk.some((each: ClientEvent) => {
        try {
          expect(each).toMatchObject(event)
          return true
        } catch {
          return false
        }
      })
    })
  }
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3eventseventid */
test('/events/… is one event', async () => {
  const eventId = await sendText(alice, roomId, 'hello')
  const path = `${v3}/events/${encodeURIComponent(eventId)}`
  expect((await bob.get(path)).content.body).toBe('hello')
  const stranger = await registerUser(url)
  expect((await stranger.ask('GET', path)).status).toBeGreaterThanOrEqual(403)
})
