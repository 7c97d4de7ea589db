import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'

let federation: Awaited<ReturnType<typeof startFederation>>
let alice: TestUser
let bob: TestUser
let bobby: TestUser
let home: string
let away: string
beforeAll(async () => {
  federation = await startFederation(2)
  ;[home, away] = federation.servers.map((server) => server.serverName) as [string, string]
  const [here, there] = federation.servers.map((server) => server.url) as [string, string]
  ;[alice, bob, bobby] = await Promise.all([registerUser(here), registerUser(there), registerUser(there)])
})
afterAll(() => federation.dispose())

const CLIENT = '/_matrix/client/v3'
const room = (roomId: string, rest: string) => `${CLIENT}/rooms/${encodeURIComponent(roomId)}/${rest}`
const join = (user: TestUser, roomId: string, server = home) =>
  user.ask('POST', `${CLIENT}/join/${encodeURIComponent(roomId)}?via=${encodeURIComponent(server)}`, {})

async function createRoom(options: object = {}): Promise<string> {
  return (await alice.post(`${CLIENT}/createRoom`, { preset: 'public_chat', ...options })).room_id
}

async function membership(user: TestUser, roomId: string, of: TestUser): Promise<string> {
  return (await user.get(room(roomId, `state/m.room.member/${encodeURIComponent(of.userId)}`))).membership
}

async function stateOf(user: TestUser, roomId: string): Promise<string[]> {
  const events: { event_id: string }[] = await user.get(room(roomId, 'state'))
  return events.map((event) => event.event_id).sort()
}

const bodies = async (user: TestUser, roomId: string): Promise<string[]> => {
  const { chunk } = await user.get(room(roomId, 'messages?dir=b&limit=50'))
  return chunk.flatMap((event: { content: { body?: string } }) => event.content.body ?? [])
}

/** https://spec.matrix.org/v1.19/server-server-api/#joining-rooms */
describe.each(['1', '2', '3', '5', '6', '9', '10', '11', '12'])('rooms of version %s', (version) => {
  test('are joined from another server, where everybody talks and both agree', async () => {
    const roomId = await createRoom({ room_version: version, name: 'Square', topic: 'All' })
    expect(await join(bob, roomId)).toMatchObject({ status: 200, body: { room_id: roomId } })
    await pollUntil('alice sees bob', async () => (await membership(alice, roomId, bob)) === 'join')
    await sendText(bob, roomId, 'hello from away')
    await pollUntil('alice hears bob', async () => (await bodies(alice, roomId)).includes('hello from away'))
    await sendText(alice, roomId, 'hello from home')
    await pollUntil('bob hears alice', async () => (await bodies(bob, roomId)).includes('hello from home'))
    expect(await stateOf(bob, roomId)).toEqual(await stateOf(alice, roomId))
    const { summary, state, timeline } = (await bob.get(`${CLIENT}/sync`)).rooms.join[roomId]
    expect(summary['m.joined_member_count']).toBe(2)
    // Pagination has fetched the whole short history, so that the timeline may begin with it.
    const told: { type: string }[] = [...state.events, ...timeline.events]
    expect(told.map((event) => event.type)).toContain('m.room.create')
  })
})

describe('joining again', () => {
  test('works after all users of the server have left, with the events of the absence', async () => {
    const roomId = await createRoom()
    expect((await join(bob, roomId)).status).toBe(200)
    await bob.post(room(roomId, 'leave'))
    await pollUntil('alice sees bob go', async () => (await membership(alice, roomId, bob)) === 'leave')
    await alice.put(room(roomId, 'state/m.room.name'), { name: 'New' })
    await sendText(alice, roomId, 'nobody away hears this')
    expect((await join(bob, roomId)).status).toBe(200)
    expect(await bob.get(room(roomId, 'state/m.room.name'))).toEqual({ name: 'New' })
    await sendText(alice, roomId, 'you are back')
    await pollUntil('bob hears alice', async () => (await bodies(bob, roomId)).includes('you are back'))
    await pollUntil('both agree', async () => {
      return JSON.stringify(await stateOf(bob, roomId)) === JSON.stringify(await stateOf(alice, roomId))
    })
  })

  test('of two users at once, both are in the room', async () => {
    const roomId = await createRoom()
    const answers = await Promise.all([join(bob, roomId), join(bobby, roomId), join(bob, roomId)])
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    for (const user of [bob, bobby]) {
      await pollUntil('alice sees them', async () => (await membership(alice, roomId, user)) === 'join')
    }
    await sendText(alice, roomId, 'hello both')
    await pollUntil('bobby hears alice', async () => (await bodies(bobby, roomId)).includes('hello both'))
  })
})

describe('rooms that cannot be joined', () => {
  test('a room that nobody has invited to, or that does not exist, or whose server is down', async () => {
    const roomId = await createRoom({ preset: 'private_chat' })
    expect(await join(bob, roomId)).toMatchObject({ status: 403, body: { errcode: 'M_FORBIDDEN' } })
    expect(await join(bob, '!nowhere:example.org')).toMatchObject({ status: 404, body: { errcode: 'M_NOT_FOUND' } })
    expect(await join(bob, '!nowhere:localhost:1', 'localhost:1')).toMatchObject({ status: 502 })
    expect(await bob.ask('POST', `${CLIENT}/join/${encodeURIComponent(`#nothing:${home}`)}`, {})).toMatchObject({
      status: 404,
      body: { errcode: 'M_NOT_FOUND' },
    })
  })

  test('a server that is down is passed over', async () => {
    const roomId = await createRoom()
    const via = ['localhost:1', away, home].map((server) => `via=${encodeURIComponent(server)}`).join('&')
    expect(await bob.ask('POST', `${CLIENT}/join/${encodeURIComponent(roomId)}?${via}`, {})).toMatchObject({
      status: 200,
    })
  })
})

test('a room is found by its alias', async () => {
  const name = `square${Date.now()}`
  const roomId = await createRoom({ room_alias_name: name })
  const answer = await bob.ask('POST', `${CLIENT}/join/${encodeURIComponent(`#${name}:${home}`)}`, {})
  expect(answer).toMatchObject({ status: 200, body: { room_id: roomId } })
})

test('an invite from another server is in the lists of sliding sync that its stripped state belongs to', async () => {
  const roomId = await createRoom({
    preset: 'private_chat',
    creation_content: { type: 'm.space' },
    initial_state: [{ type: 'm.room.encryption', content: { algorithm: 'm.megolm.v1.aes-sha2' } }],
    invite: [bobby.userId],
  })
  const plain = await createRoom({ preset: 'private_chat', invite: [bobby.userId] })
  const list = (filters: object) => ({ filters, range: [0, 9], timeline_limit: 1, required_state: {} })
  const lists = {
    all: list({ is_invited: true }),
    encrypted: list({ is_encrypted: true }),
    spaces: list({ room_types: ['m.space'] }),
    others: list({ not_room_types: ['m.space'] }),
  }
  const listsOf = await pollUntil('both invites have come', async () => {
    const { rooms } = await bobby.post('/_matrix/client/v4/sync', { lists })
    return roomId in rooms && plain in rooms && ((id: string) => [...rooms[id].lists].sort())
  })
  expect(listsOf(roomId)).toEqual(['all', 'encrypted', 'spaces'])
  expect(listsOf(plain)).toEqual(['all', 'others'])
})

/** https://spec.matrix.org/v1.19/client-server-api/#user-directory */
test('members of a public room are found by a search only as long as the server is in the room', async () => {
  const term = `wanderer${Date.now()}`
  const owner = await registerUser(federation.servers[0]!.url, term)
  const { room_id: roomId } = await owner.post(`${CLIENT}/createRoom`, { preset: 'public_chat' })
  const found = async (): Promise<string[]> => {
    const { results } = await bobby.post(`${CLIENT}/user_directory/search`, { search_term: term })
    return results.map(({ user_id }: { user_id: string }) => user_id)
  }
  expect((await join(bob, roomId)).status).toBe(200)
  // Bobby is not in the room.
  await pollUntil('the member is found', async () => (await found()).includes(owner.userId))
  await bob.post(room(roomId, 'leave'))
  expect(await found()).toEqual([])
})
