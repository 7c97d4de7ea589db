import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres } from '../../testing/postgres.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { type FaultyProxy, startFaultyProxy } from '../harness/faulty-proxy.ts'
import { startFederation, type TestFederation } from '../harness/federation.ts'
import { START_MS, type TestHearth } from '../harness/hearth.ts'

const CLIENT = '/_matrix/client/v3'
/** The requests of a joined server for the members. */
const STATE = /^\/_matrix\/federation\/v1\/state/
const filter = (state: object) => encodeURIComponent(JSON.stringify({ room: { state, timeline: { limit: 1 } } }))
const LAZY = filter({ lazy_load_members: true })
const EAGER = filter({})

let federation: TestFederation
let proxy: FaultyProxy
let home: TestHearth
let away: TestHearth
/** Alice and Anna are on the resident server, Bob on the joining one, on PostgreSQL. */
let alice: TestUser
let anna: TestUser
let bob: TestUser

beforeAll(async () => {
  federation = await startFederation(0)
  const postgres = await startPostgres()
  federation.onDispose(() => postgres.stop())
  proxy = await startFaultyProxy(federation)
  const databaseUrl = await postgres.createDatabase()
  ;[home, away] = await Promise.all([
    federation.hearth({ serverName: `localhost:${proxy.port}` }),
    federation.hearth({ databaseUrl }),
  ])
  proxy.passTo(home.federationPort!)
  ;[alice, anna, bob] = await Promise.all([registerUser(home.url), registerUser(home.url), registerUser(away.url)])
}, 2 * START_MS)
afterAll(() => federation.dispose())

const room = (roomId: string, rest: string) => `${CLIENT}/rooms/${encodeURIComponent(roomId)}/${rest}`
const join = (user: TestUser, roomId: string, server: TestHearth) =>
  user.post(`${CLIENT}/join/${encodeURIComponent(roomId)}?via=${encodeURIComponent(server.serverName)}`, {})

/** Creates a room of Alice that Anna has joined, and Bob just now, whose server has not received the members. */
async function partialRoom(): Promise<string> {
  const { room_id: roomId } = await alice.post(`${CLIENT}/createRoom`, { preset: 'public_chat', name: 'Square' })
  await anna.post(`${CLIENT}/join/${encodeURIComponent(roomId)}`, {})
  proxy.setFault('slow', STATE)
  await join(bob, roomId, home)
  return roomId
}

async function synced(user: TestUser, roomId: string, wanted: string) {
  return (await user.get(`${CLIENT}/sync?filter=${wanted}`)).rooms?.join?.[roomId]
}

const bodies = async (user: TestUser, roomId: string): Promise<string[]> => {
  const { chunk } = await user.get(room(roomId, 'messages?dir=b&limit=20'))
  return chunk.flatMap((event: { content: { body?: string } }) => event.content.body ?? [])
}

async function membersOf(user: TestUser, roomId: string): Promise<string[]> {
  return Object.keys((await user.get(room(roomId, 'joined_members'))).joined).sort()
}

async function stateOf(user: TestUser, roomId: string): Promise<string[]> {
  const events: { event_id: string }[] = await user.get(room(roomId, 'state'))
  return events.map((event) => event.event_id).sort()
}

async function expectComplete(roomId: string): Promise<void> {
  expect(await membersOf(bob, roomId)).toEqual([alice.userId, anna.userId, bob.userId].sort())
  await pollUntil('both agree', async () => {
    return JSON.stringify(await stateOf(bob, roomId)) === JSON.stringify(await stateOf(alice, roomId))
  })
  const { summary, state } = await synced(bob, roomId, EAGER)
  expect(summary['m.joined_member_count']).toBe(3)
  const members = state.events.filter((event: { type: string }) => event.type === 'm.room.member')
  expect(members.map((event: { state_key: string }) => event.state_key)).toEqual(
    expect.arrayContaining([alice.userId, anna.userId]),
  )
}

/** https://github.com/matrix-org/matrix-spec-proposals/pull/3902 */
test('a room is used as soon as it is joined, and its members are there when they are known', async () => {
  const roomId = await partialRoom()
  await sendText(bob, roomId, 'hello from away')
  await pollUntil('alice hears bob', async () => (await bodies(alice, roomId)).includes('hello from away'))
  await sendText(anna, roomId, 'hello from home')
  await pollUntil('bob hears anna', async () => (await bodies(bob, roomId)).includes('hello from home'))

  // Lazy-loading clients get the room, with the members who sent events; others do not get it yet.
  const { state } = await synced(bob, roomId, LAZY)
  expect(state.events).toContainEqual(expect.objectContaining({ type: 'm.room.member', state_key: anna.userId }))
  expect(state.events).toContainEqual(expect.objectContaining({ type: 'm.room.name', content: { name: 'Square' } }))
  const eager = await bob.get(`${CLIENT}/sync?filter=${EAGER}`)
  expect(eager.rooms?.join?.[roomId]).toBeUndefined()
  await pollUntil('the members are asked for', () => proxy.waiting() > 0)
  const waiting = membersOf(bob, roomId)
  const woken = bob.get(`${CLIENT}/sync?filter=${EAGER}&since=${eager.next_batch}&timeout=60000`)
  expect(await Promise.race([waiting, woken, bob.get(`${CLIENT}/joined_rooms`)])).toHaveProperty('joined_rooms')

  proxy.setFault('none')
  expect(await waiting).toEqual([alice.userId, anna.userId, bob.userId].sort())
  expect((await woken).rooms.join[roomId].timeline.events.length).toBeGreaterThan(0)
  await expectComplete(roomId)
})

test('a server that is killed before it knows the members goes on where it was', async () => {
  const roomId = await partialRoom()
  await pollUntil('the members are asked for', () => proxy.waiting() > 0)
  await away.kill('SIGKILL')
  await away.restart()
  await sendText(bob, roomId, 'still here')
  expect(await synced(bob, roomId, EAGER)).toBeUndefined()
  proxy.setFault('none')
  await expectComplete(roomId)
  await pollUntil('alice hears bob', async () => (await bodies(alice, roomId)).includes('still here'))
})

test('when the server that answered the join goes away, others tell the members', async () => {
  const other = await federation.hearth()
  const olga = await registerUser(other.url)
  const { room_id: roomId } = await alice.post(`${CLIENT}/createRoom`, { preset: 'public_chat' })
  await join(olga, roomId, home)
  expect((await membersOf(olga, roomId)).length).toBe(2)
  proxy.setFault('slow', STATE)
  await join(bob, roomId, home)
  await pollUntil('the members are asked for', () => proxy.waiting() > 0)
  // The other server has to know of the join before it answers.
  await pollUntil('olga sees bob', async () => (await membersOf(olga, roomId)).includes(bob.userId))
  proxy.setFault('down')
  expect(await membersOf(bob, roomId)).toEqual([alice.userId, bob.userId, olga.userId].sort())
  proxy.setFault('none')
})

test('a room can be left and joined again before its members are known', async () => {
  const roomId = await partialRoom()
  await bob.post(room(roomId, 'leave'), {})
  await pollUntil('alice sees bob go', async () => !(await membersOf(alice, roomId)).includes(bob.userId))
  await join(bob, roomId, home)
  await sendText(bob, roomId, 'back again')
  proxy.setFault('none')
  await expectComplete(roomId)
})
