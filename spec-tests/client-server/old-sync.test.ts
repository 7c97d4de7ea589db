import { beforeEach, expect, inject, test } from 'vitest'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { pollUntil } from '../harness/poll-until.ts'
import {
  bodiesOf,
  type ClientEvent,
  createRoom,
  joinRoom,
  refusal,
  roomOfTwo,
  roomPath,
  sendState,
  v3,
} from '../harness/rooms.ts'

/** The ways to read rooms from before /sync, which are deprecated and still specified. */
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

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3eventseventid */
test('/events/… is one event', async () => {
  const eventId = await sendText(alice, roomId, 'hello')
  const path = `${v3}/events/${encodeURIComponent(eventId)}`
  expect((await bob.get(path)).content.body).toBe('hello')
  const stranger = await registerUser(url)
  expect((await stranger.ask('GET', path)).status).toBeGreaterThanOrEqual(403)
})
