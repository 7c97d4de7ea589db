import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { RoomId } from '../../../core/ids.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { encryptionEndpoints } from '../encryption-endpoints.ts'
import { roomEndpoints } from '../room-endpoints.ts'
import { getSync } from '../sync/sync.ts'
import { userEndpoints } from '../user-endpoints.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
let carol: TestClient
let made = 0
beforeAll(async () => {
  api = await startClientApi({ endpoints: [...userEndpoints, ...roomEndpoints, ...encryptionEndpoints, getSync] })
})
beforeEach(async () => {
  made++
  ;[alice, bob, carol] = await Promise.all([newUser('alice'), newUser('bob'), newUser('carol')])
})
afterAll(() => api.close())

async function newUser(name: string): Promise<TestClient> {
  const client = await api.client(`${name}${made}`, { deviceId: 'PHONE' })
  await changeKeys(client)
  return client
}

let keys = 0
function changeKeys({ userId, ok }: TestClient) {
  const device_keys = {
    user_id: userId,
    device_id: 'PHONE',
    algorithms: [],
    keys: { 'ed25519:PHONE': `key ${++keys}` },
    signatures: {},
  }
  return ok('POST', '/keys/upload', { device_keys })
}

async function createRoom(...members: TestClient[]): Promise<RoomId> {
  const [creator, ...others] = members
  const roomId = await creator!.createRoom({ preset: 'public_chat' })
  for (const other of others) await join(other, roomId)
  return roomId
}

const join = (client: TestClient, roomId: RoomId) => client.ok('POST', `/rooms/${encodeURIComponent(roomId)}/join`, {})
const leave = (client: TestClient, roomId: RoomId) =>
  client.ok('POST', `/rooms/${encodeURIComponent(roomId)}/leave`, {})

/** Returns Alice's current stream position. */
async function now(): Promise<string> {
  return (await alice.ok('GET', '/sync')).next_batch
}

/** Returns the device lists of Alice's sync; /keys/changes must agree. */
async function listsSince(since: string) {
  const { device_lists, next_batch } = await alice.ok('GET', `/sync?since=${since}`)
  const lists = { changed: [], left: [], ...device_lists }
  const told = { changed: lists.changed.toSorted(), left: lists.left.toSorted() }
  const asked = await alice.ok('GET', `/keys/changes?from=${since}&to=${next_batch}`)
  expect({ changed: asked.changed.toSorted(), left: asked.left.toSorted() }).toEqual(told)
  return told
}

const changed = (...clients: TestClient[]) => ({ changed: clients.map((client) => client.userId).toSorted(), left: [] })
const left = (...clients: TestClient[]) => ({ changed: [], left: clients.map((client) => client.userId).toSorted() })
const NOTHING = { changed: [], left: [] }

test('new keys of somebody in a shared room are a change, those of others are not', async () => {
  await createRoom(alice, bob)
  const since = await now()
  await changeKeys(carol)
  expect(await listsSince(since)).toEqual(NOTHING)
  await changeKeys(bob)
  expect(await listsSince(since)).toEqual(changed(bob))
})

test("so are one's own, in no room at all", async () => {
  const since = await now()
  await changeKeys(alice)
  expect(await listsSince(since)).toEqual(changed(alice))
})

test('the same keys again are none', async () => {
  const since = await now()
  keys--
  await changeKeys(carol)
  await createRoom(alice, carol)
  const later = await now()
  keys--
  await changeKeys(carol)
  expect(await listsSince(later)).toEqual(NOTHING)
  expect(await listsSince(since)).toEqual(changed(alice, carol))
})

test('a device that logs in without keys is no change; one with keys that is renamed or logs out is', async () => {
  await createRoom(alice, bob)
  const since = await now()
  const laptop = await api.client(`bob${made}`, { deviceId: 'LAPTOP' })
  await laptop.ok('PUT', '/devices/LAPTOP', { display_name: 'Laptop' })
  await laptop.ok('POST', '/logout')
  expect(await listsSince(since)).toEqual(NOTHING)
  await bob.ok('PUT', '/devices/PHONE', { display_name: 'Phone' })
  expect(await listsSince(since)).toEqual(changed(bob))
  const later = await now()
  await bob.ok('POST', '/logout')
  expect(await listsSince(later)).toEqual(changed(bob))
})

test('cross-signing keys are a change', async () => {
  await createRoom(alice, bob)
  const since = await now()
  const master_key = { user_id: bob.userId, usage: ['master'], keys: { 'ed25519:abc': 'abc' } }
  await bob.ok('POST', '/keys/device_signing/upload', { master_key })
  expect(await listsSince(since)).toEqual(changed(bob))
})

test('a user who joins a shared room is a change, unless another room is shared already', async () => {
  const roomId = await createRoom(alice, bob)
  const other = await createRoom(alice)
  const since = await now()
  await join(carol, roomId)
  await join(bob, other)
  expect(await listsSince(since)).toEqual(changed(carol))
})

test('so are all in a room that we join, and we ourselves, of whom they hear', async () => {
  const roomId = await createRoom(bob, carol)
  await createRoom(alice, carol)
  const since = await now()
  await join(alice, roomId)
  expect(await listsSince(since)).toEqual(changed(alice, bob))
})

test('a new name or avatar in a room is none', async () => {
  await createRoom(alice, bob)
  const since = await now()
  await bob.ok('PUT', `/profile/${bob.userId}/displayname`, { displayname: 'Bobby' })
  await alice.ok('PUT', `/profile/${alice.userId}/displayname`, { displayname: 'Al' })
  expect(await listsSince(since)).toEqual(NOTHING)
})

test('a user who leaves the last shared room has left; a user who leaves another room has not', async () => {
  const roomId = await createRoom(alice, bob, carol)
  await createRoom(alice, carol)
  const since = await now()
  await leave(bob, roomId)
  await leave(carol, roomId)
  expect(await listsSince(since)).toEqual(left(bob))
  const later = await now()
  await changeKeys(bob)
  expect(await listsSince(later)).toEqual(NOTHING)
})

test('so have all in a room that we leave, also those who left it before us and those who joined it later have not', async () => {
  const roomId = await createRoom(bob, alice, carol)
  const since = await now()
  await leave(carol, roomId)
  await leave(alice, roomId)
  await join(await newUser('dave'), roomId)
  expect(await listsSince(since)).toEqual(left(bob, carol))
})

test('a user who leaves and comes back is a change: keys may have changed in between', async () => {
  const roomId = await createRoom(alice, bob)
  const since = await now()
  await leave(bob, roomId)
  await changeKeys(bob)
  await join(bob, roomId)
  expect(await listsSince(since)).toEqual(changed(bob))
})

test('after leaving and coming back, users who left in between have left, and the others are changes', async () => {
  const roomId = await createRoom(bob, alice, carol)
  const since = await now()
  await leave(alice, roomId)
  await leave(carol, roomId)
  await changeKeys(bob)
  await join(alice, roomId)
  expect(await listsSince(since)).toEqual({ changed: [alice.userId, bob.userId], left: [carol.userId] })
})

test('a user who joins and leaves between two syncs is not reported', async () => {
  const roomId = await createRoom(alice)
  const since = await now()
  await join(bob, roomId)
  await leave(bob, roomId)
  expect(await listsSince(since)).toEqual(NOTHING)
})

test('an invitation shares nothing, neither when it comes nor when it is refused', async () => {
  const roomId = await createRoom(bob)
  const since = await now()
  await bob.ok('POST', `/rooms/${encodeURIComponent(roomId)}/invite`, { user_id: alice.userId })
  await changeKeys(bob)
  await leave(alice, roomId)
  expect(await listsSince(since)).toEqual(NOTHING)
})

test('the first sync has no device lists', async () => {
  await createRoom(alice, bob)
  expect((await alice.ok('GET', '/sync')).device_lists).toBeUndefined()
})

test.each(['from=s1_0', 'to=s1_0', 'from=x&to=s1_0', 'from=s1_0&to=t1_5'])(
  '/keys/changes?%s is refused',
  async (query) => {
    expect((await alice.ask('GET', `/keys/changes?${query}`)).status).toBe(400)
  },
)
