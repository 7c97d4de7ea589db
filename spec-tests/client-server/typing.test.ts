import { beforeEach, expect, inject, test } from 'vitest'
import { logIn, registerUser, type TestUser } from '../harness/client.ts'
import { type ClientEvent, refusal, roomOfTwo, roomPath, syncUntil, v3 } from '../harness/rooms.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#typing-notifications */
const { url } = inject('homeserver')
let alice: TestUser
let bob: TestUser
let roomId: string

beforeEach(async () => {
  ;({ alice, bob, roomId } = await roomOfTwo(url))
})

const path = (user: TestUser) => roomPath(roomId, `typing/${encodeURIComponent(user.userId)}`)

/** Waits until the typing users are `expected`, and returns the token after that. */
async function hears(user: TestUser, since: string, expected: string[]): Promise<string> {
  return syncUntil(user, since, ({ rooms, next_batch }) => {
    const events: ClientEvent[] = rooms?.join?.[roomId]?.ephemeral?.events ?? []
    const last = events.findLast(({ type }) => type === 'm.typing')
    return JSON.stringify(last?.content.user_ids?.toSorted()) === JSON.stringify(expected.toSorted()) && next_batch
  })
}

test('is announced, and its end too', async () => {
  const { next_batch } = await alice.get(`${v3}/sync`)
  await bob.put(path(bob), { typing: true, timeout: 30_000 })
  const since = await hears(alice, next_batch, [bob.userId])
  await alice.put(path(alice), { typing: true, timeout: 30_000 })
  const both = await hears(bob, since, [alice.userId, bob.userId])
  await bob.put(path(bob), { typing: false })
  const one = await hears(alice, both, [alice.userId])
  await alice.put(path(alice), { typing: false })
  await hears(bob, one, [])
})

test('ends by itself', async () => {
  const { next_batch } = await alice.get(`${v3}/sync`)
  await bob.put(path(bob), { typing: true, timeout: 3000 })
  await hears(alice, await hears(alice, next_batch, [bob.userId]), [])
})

/** Each ends Bob's typing long before its timeout. */
const CAUSES: Record<string, () => Promise<unknown>> = {
  leaves: () => bob.post(roomPath(roomId, 'leave')),
  'is kicked': () => alice.post(roomPath(roomId, 'kick'), { user_id: bob.userId }),
  'is banned': () => alice.post(roomPath(roomId, 'ban'), { user_id: bob.userId }),
  'logs out': () => bob.post(`${v3}/logout`),
  'logs out everywhere': () => bob.post(`${v3}/logout/all`),
  'is deactivated': () => bob.post(`${v3}/account/deactivate`, { auth: passwordOf(bob) }),
  'removes the device': () =>
    bob.ask('DELETE', `${v3}/devices/${bob.deviceId}`, { auth: passwordOf(bob) }).then(({ status }) => {
      expect(status).toBe(200)
    }),
}
const passwordOf = ({ userId }: TestUser) => ({
  type: 'm.login.password',
  identifier: { type: 'm.id.user', user: userId },
  password: 'correct horse battery',
})

test.each(Object.keys(CAUSES))('ends when the user %s', async (cause) => {
  const { next_batch } = await alice.get(`${v3}/sync`)
  await bob.put(path(bob), { typing: true, timeout: 120_000 })
  const since = await hears(alice, next_batch, [bob.userId])
  await CAUSES[cause]!()
  await hears(alice, since, [])
})

test('goes on when the user logs out of another device', async () => {
  const { next_batch } = await alice.get(`${v3}/sync`)
  const other = await logIn(url, bob.userId, 'other')
  await bob.put(path(bob), { typing: true, timeout: 120_000 })
  const since = await hears(alice, next_batch, [bob.userId])
  await other.post(`${v3}/logout`)
  await alice.put(path(alice), { typing: true, timeout: 120_000 })
  await hears(alice, since, [alice.userId, bob.userId])
})

test('does not include users who have left', async () => {
  await bob.put(path(bob), { typing: true, timeout: 30_000 })
  await bob.post(roomPath(roomId, 'leave'))
  const { rooms } = await alice.get(`${v3}/sync`)
  expect(JSON.stringify(rooms.join[roomId].ephemeral?.events ?? [])).not.toContain(bob.userId)
})

test('is in an initial sync, without a room id', async () => {
  await bob.put(path(bob), { typing: true, timeout: 30_000 })
  const { rooms } = await alice.get(`${v3}/sync`)
  const typing = rooms.join[roomId].ephemeral.events.find(({ type }: ClientEvent) => type === 'm.typing')
  expect(typing).toEqual({ type: 'm.typing', content: { user_ids: [bob.userId] } })
})

test('is one’s own, in a room that one is in', async () => {
  const stranger = await registerUser(url)
  const typing = { typing: true, timeout: 1000 }
  expect(await refusal(alice, 'PUT', path(bob), typing)).toEqual([403, 'M_FORBIDDEN'])
  expect(await refusal(stranger, 'PUT', path(stranger), typing)).toEqual([403, 'M_FORBIDDEN'])
  expect((await bob.ask('PUT', path(bob), { typing: 'yes' })).status).toBe(400)
  expect((await bob.ask('PUT', path(bob), { typing: true, timeout: 'long' })).status).toBe(400)
})
