import { beforeAll, expect, inject, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { logIn, registerUser, type TestUser } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#presence */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let stranger: TestUser
let roomId: string

beforeAll(async () => {
  ;[alice, bob, stranger] = (await Promise.all([registerUser(url), registerUser(url), registerUser(url)])) as [
    TestUser,
    TestUser,
    TestUser,
  ]
  roomId = (await alice.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })).room_id
  await bob.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`)
})

const statusPath = (user: TestUser) => `/_matrix/client/v3/presence/${encodeURIComponent(user.userId)}/status`
const setStatus = (user: TestUser, body: object) => user.put(statusPath(user), body)

type PresenceEvent = { sender: string; content: Record<string, unknown> }
/** Waits until a user's syncs show another user's presence with this value, and returns it. */
async function told(user: TestUser, since: string, of: TestUser, presence: string): Promise<PresenceEvent> {
  let token = since
  return pollUntil(`${presence} is told`, async () => {
    const path = `/_matrix/client/v3/sync?since=${token}&timeout=1000`
    const body = await user.get(path)
    token = body.next_batch
    const events: PresenceEvent[] = body.presence?.events ?? []
    return events.find(({ sender, content }) => sender === of.userId && content.presence === presence)
  })
}

test('a user who sets no presence is offline; others see a set presence and its message', async () => {
  expect((await alice.get(statusPath(alice))).presence).toBe('offline')
  const { next_batch } = await bob.get('/_matrix/client/v3/sync?set_presence=offline')
  await setStatus(alice, { presence: 'online', status_msg: 'tea' })
  const event = await told(bob, next_batch, alice, 'online')
  expect(event.content).toMatchObject({ status_msg: 'tea', currently_active: true })
  expect(event.content.last_active_ago).toBeLessThan(30_000)
  expect(await bob.get(statusPath(alice))).toMatchObject({ presence: 'online', status_msg: 'tea' })
})

test('a first sync tells who is there', async () => {
  await setStatus(alice, { presence: 'unavailable' })
  const { presence } = await bob.get('/_matrix/client/v3/sync?set_presence=offline')
  const ofAlice = presence.events.find((event: PresenceEvent) => event.sender === alice.userId)
  expect(ofAlice).toMatchObject({ type: 'm.presence', content: { presence: 'unavailable', currently_active: false } })
})

test('presence is set by syncing', async () => {
  const { next_batch } = await bob.get('/_matrix/client/v3/sync?set_presence=offline')
  await alice.get('/_matrix/client/v3/sync')
  await told(bob, next_batch, alice, 'online')
  await alice.get('/_matrix/client/v3/sync?set_presence=unavailable')
  await told(bob, next_batch, alice, 'unavailable')
})

test.each([
  ['sync', (user: TestUser) => user.get('/_matrix/client/v3/sync?set_presence=offline')],
  ['sliding sync', (user: TestUser) => user.post('/_matrix/client/v4/sync', { set_presence: 'offline' })],
])('a %s with set_presence=offline leaves the presence as it is', async (_, sync) => {
  await setStatus(alice, { presence: 'online', status_msg: 'here' })
  await sync(alice)
  await expect.poll(() => bob.get(statusPath(alice))).toMatchObject({ presence: 'online', status_msg: 'here' })
  await setStatus(alice, { presence: 'offline' })
  await sync(alice)
  await expect.poll(async () => (await bob.get(statusPath(alice))).presence).toBe('offline')
})

test("a new member gets the presence of the members, and they get the new member's", async () => {
  const newcomer = await registerUser(url)
  await setStatus(newcomer, { presence: 'online' })
  await setStatus(alice, { presence: 'online' })
  const before = await alice.get('/_matrix/client/v3/sync?set_presence=online')
  const own = await newcomer.get('/_matrix/client/v3/sync')
  const { room_id } = await alice.post('/_matrix/client/v3/createRoom', { preset: 'public_chat' })
  await newcomer.post(`/_matrix/client/v3/join/${encodeURIComponent(room_id)}`)
  await told(newcomer, own.next_batch, alice, 'online')
  await told(alice, before.next_batch, newcomer, 'online')
})

test('strangers learn nothing, and nobody speaks for others', async () => {
  expect((await stranger.ask('GET', statusPath(alice))).status).toBe(403)
  expect((await stranger.ask('PUT', statusPath(alice), { presence: 'online' })).status).toBe(403)
  expect((await alice.ask('PUT', statusPath(alice), { presence: 'busy bee' })).status).toBe(400)
  const { presence } = await stranger.get('/_matrix/client/v3/sync?set_presence=offline')
  expect((presence?.events ?? []).some((event: PresenceEvent) => event.sender === alice.userId)).toBe(false)
})

test('a filter can leave presence out', async () => {
  const filter = encodeURIComponent(JSON.stringify({ presence: { not_types: ['*'] } }))
  expect((await bob.get(`/_matrix/client/v3/sync?filter=${filter}`)).presence).toBeUndefined()
})

test('a user who logs out is gone at once, unless another device is there', async () => {
  const carol = await registerUser(url)
  await carol.post(`/_matrix/client/v3/join/${encodeURIComponent(roomId)}`)
  const other = await logIn(url, carol.userId, 'other')
  const { next_batch } = await bob.get('/_matrix/client/v3/sync?set_presence=offline')
  await setStatus(carol, { presence: 'online' })
  await setStatus(other, { presence: 'unavailable' })
  await told(bob, next_batch, carol, 'online')
  await other.post('/_matrix/client/v3/logout')
  expect((await bob.get(statusPath(carol))).presence).toBe('online')
  const start = Date.now()
  await carol.post('/_matrix/client/v3/logout')
  await told(bob, next_batch, carol, 'offline')
  // Devices that just stop syncing count for half a minute.
  expect(Date.now() - start).toBeLessThan(20_000)
})
