import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres } from '../../testing/postgres.ts'
import { registerUser, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { type LyingServer, startLyingServer } from '../harness/lying-server.ts'
import type { PeerRoom } from '../harness/peer-room.ts'
import { hasEvent, roomPath, v3 } from '../harness/rooms.ts'

/** Two processes of one server, whose users join the same rooms through servers that respond and others that do not. */

/** On a busy machine; a join times out only after a minute. */
const PATIENCE_MS = 50_000

let federation: Awaited<ReturnType<typeof startFederation>>
let first: TestHearth
let second: TestHearth
/** Both are in the rooms; `hanging` accepts joins and does not respond. */
let hanging: LyingServer
let healthy: LyingServer
beforeAll(async () => {
  federation = await startFederation()
  const postgres = await startPostgres()
  federation.onDispose(() => postgres.stop())
  const databaseUrl = await postgres.createDatabase()
  first = await federation.hearth({ databaseUrl })
  second = await federation.hearth({ databaseUrl, serverName: first.serverName })
  ;[hanging, healthy] = await Promise.all([startLyingServer(federation), startLyingServer(federation)])
}, 300_000)
afterAll(() => federation.dispose())

/** Creates a room of the hanging server that a user of the healthy one has joined. */
function sharedRoom(): { room: PeerRoom; friend: string } {
  const room = hanging.room()
  healthy.rooms.set(room.roomId, room)
  const friend = `@friend:${healthy.serverName}`
  const member = { type: 'm.room.member', sender: friend, state_key: friend, content: { membership: 'join' } }
  room.add({ ...member, signer: healthy.signer })
  return { room, friend }
}

function join(user: TestUser, room: PeerRoom, ...via: LyingServer[]) {
  const query = via.map(({ serverName }) => `via=${encodeURIComponent(serverName)}`).join('&')
  return user.ask('POST', `${v3}/join/${encodeURIComponent(room.roomId)}?${query}`, {})
}

/** Makes the hanging server hang from now on, and returns a function that ends it. */
function hang(kind: 'make_join' | 'send_join'): () => void {
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  const before = hanging.count(kind)
  hanging.lie(kind, () => released.then(() => undefined))
  asksAfter = () => hanging.count(kind) > before
  return () => {
    hanging.lie(kind, undefined)
    release()
  }
}
let asksAfter: () => boolean

test.each(['make_join', 'send_join'] as const)(
  'who joins by way of a server that answers does not wait for who hangs in %s',
  async (kind) => {
    const [alice, bob] = (await Promise.all([first, first].map(({ url }) => registerUser(url)))) as [TestUser, TestUser]
    const { room } = sharedRoom()
    const release = hang(kind)
    const start = Date.now()
    const alices = join(alice, room, hanging)
    await pollUntil('the hanging server is asked', asksAfter)
    expect((await join(bob, room, healthy)).status).toBe(200)
    // The room is here, so Alice need not wait either.
    expect((await alices).status).toBe(200)
    expect(Date.now() - start).toBeLessThan(PATIENCE_MS)
    const { joined } = await alice.get(roomPath(room.roomId, 'joined_members'))
    expect(Object.keys(joined)).toEqual(expect.arrayContaining([alice.userId, bob.userId]))
    release()
  },
  4 * PATIENCE_MS,
)

test(
  'so it is when the servers that one of them knows include the one that hangs, and on another process',
  async () => {
    const [alice, bob, carol] = (await Promise.all([first, first, second].map(({ url }) => registerUser(url)))) as [
      TestUser,
      TestUser,
      TestUser,
    ]
    const { room } = sharedRoom()
    const release = hang('send_join')
    const start = Date.now()
    const alices = join(alice, room, hanging)
    await pollUntil('the hanging server is asked', asksAfter)
    const carols = join(carol, room, hanging)
    expect((await join(bob, room, hanging, healthy)).status).toBe(200)
    expect([(await alices).status, (await carols).status]).toEqual([200, 200])
    expect(Date.now() - start).toBeLessThan(PATIENCE_MS)
    release()
  },
  4 * PATIENCE_MS,
)

test('many who join at once by way of one server fetch the room once', async () => {
  const users = await Promise.all([first, first, first, first].map(({ url }) => registerUser(url)))
  const { room } = sharedRoom()
  const before = healthy.count('send_join')
  const release = hang('send_join')
  const answers = await Promise.all(users.map((user) => join(user, room, healthy)))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect(healthy.count('send_join') - before).toBe(1)
  release()
})

test(
  'what is sent into a room that is being joined keeps nothing waiting, and is there afterwards',
  async () => {
    const [alice, bob] = (await Promise.all([first, second].map(({ url }) => registerUser(url)))) as [
      TestUser,
      TestUser,
    ]
    const { room, friend } = sharedRoom()
    const { room: other, friend: sender } = sharedRoom()
    expect((await join(bob, other, healthy)).status).toBe(200)
    const release = hang('send_join')
    const alices = join(alice, room, hanging)
    await pollUntil('the hanging server is asked', asksAfter)
    const early = room.make({ sender: friend, content: { body: 'early' }, signer: healthy.signer })
    const elsewhere = other.add({ sender, content: { body: 'elsewhere' }, signer: healthy.signer })
    const start = Date.now()
    expect(await healthy.send(second, [early, elsewhere])).toEqual({ [early.event_id]: {}, [elsewhere.event_id]: {} })
    await pollUntil('other rooms go on', () => hasEvent(bob, elsewhere))
    expect(Date.now() - start).toBeLessThan(PATIENCE_MS / 2)
    release()
    expect((await alices).status).toBe(200)
    await pollUntil('what was sent meanwhile is there', () => hasEvent(alice, early), PATIENCE_MS)
    const late = room.make({
      sender: friend,
      content: { body: 'late' },
      prev_events: [early.event_id],
      signer: healthy.signer,
    })
    await healthy.send(first, [late])
    await pollUntil('and what comes later', () => hasEvent(alice, late), PATIENCE_MS)
  },
  4 * PATIENCE_MS,
)

test('events sent into a room whose join fails are dropped', async () => {
  const alice = await registerUser(first.url)
  const { room, friend } = sharedRoom()
  hanging.lie('send_join', 'cut')
  const joins = join(alice, room, hanging)
  const early = room.make({ sender: friend, content: { body: 'early' }, signer: healthy.signer })
  await healthy.send(second, [early])
  expect((await joins).status).toBe(502)
  hanging.lie('send_join', undefined)
  const again = room.add({ sender: friend, content: { body: 'again' }, signer: healthy.signer })
  await healthy.send(second, [again])
  expect((await join(alice, room, hanging)).status).toBe(200)
  expect(await hasEvent(alice, again)).toBe(false)
  const last = room.add({ sender: friend, content: { body: 'last' }, signer: healthy.signer })
  await healthy.send(second, [last])
  await pollUntil('the room goes on', () => hasEvent(alice, last), PATIENCE_MS)
})
