import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { registerUser, sendText, type TestUser } from '../harness/client.ts'
import { startFederation } from '../harness/federation.ts'
import type { TestHearth } from '../harness/hearth.ts'
import { startPolicyServer, type TestPolicyServer } from '../harness/policy-server.ts'

/** https://spec.matrix.org/v1.19/server-server-api/#policy-servers */
const CLIENT = '/_matrix/client/v3'
const inRoom = (roomId: string, rest: string) => `${CLIENT}/rooms/${encodeURIComponent(roomId)}/${rest}`

let federation: Awaited<ReturnType<typeof startFederation>>
let policy: TestPolicyServer
let home: TestHearth
let guardian: TestUser
let alice: TestUser
beforeAll(async () => {
  federation = await startFederation(0)
  policy = await startPolicyServer(federation, '12')
  const behind = await federation.hearth({ serverName: `localhost:${policy.port}` })
  policy.passTo(behind.federationPort!)
  home = await federation.hearth({ config: { policy_server: { public_key: policy.publicKey } } })
  ;[guardian, alice] = await Promise.all([registerUser(behind.url), registerUser(home.url)])
})
afterEach(() => policy.setMode('checking'))
afterAll(() => federation.dispose())

const setPolicy = (roomId: string, content: object) => alice.put(inRoom(roomId, 'state/m.room.policy/'), content)

/** Creates a room of Alice whose events the policy server checks. */
async function protectedRoom(): Promise<string> {
  const { room_id: roomId } = await alice.post(`${CLIENT}/createRoom`, { preset: 'public_chat', room_version: '12' })
  await guardian.post(`${CLIENT}/join/${encodeURIComponent(roomId)}?via=${home.serverName}`)
  await setPolicy(roomId, { via: `localhost:${policy.port}`, public_keys: { ed25519: policy.publicKey } })
  return roomId
}

const say = (user: TestUser, roomId: string, body: string, txnId: string) =>
  user.ask('PUT', inRoom(roomId, `send/m.room.message/${txnId}`), { msgtype: 'm.text', body })

async function heardBy(user: TestUser, roomId: string): Promise<string[]> {
  const { chunk } = await user.get(inRoom(roomId, 'messages?dir=b&limit=100'))
  return chunk.flatMap((event: { content: { body?: string } }) => event.content.body ?? []).reverse()
}

describe('in a room with a policy server', () => {
  test('every event is signed by it before it is sent, but the choice of the server itself', async () => {
    const roomId = await protectedRoom()
    policy.asked.length = 0
    await sendText(alice, roomId, 'hello')
    await alice.put(inRoom(roomId, 'state/m.room.topic/'), { topic: 'Tea' })
    await alice.put(inRoom(roomId, 'state/m.room.policy/other'), {})
    expect(policy.asked.map(({ type }) => type)).toEqual(['m.room.message', 'm.room.topic', 'm.room.policy'])
    await pollUntil('the message arrives', async () => (await heardBy(guardian, roomId)).includes('hello'))
    await setPolicy(roomId, {})
    await sendText(alice, roomId, 'unguarded')
    expect(policy.asked).toHaveLength(3)
  })

  test("a refused event is not sent, with the server's reason, and refused events of other servers are hidden", async () => {
    const roomId = await protectedRoom()
    const refused = await say(alice, roomId, 'cheap spam', '1')
    expect([refused.status, refused.body]).toMatchObject([
      400,
      { errcode: 'M_FORBIDDEN', error: 'This looks like spam' },
    ])
    expect(await heardBy(alice, roomId)).toEqual([])
    expect((await say(alice, roomId, 'no offence', '1')).status).toBe(200)

    // The homeserver of that name does not ask itself; others ask when they get its events.
    expect((await say(guardian, roomId, 'own spam', '2')).status).toBe(200)
    expect((await say(guardian, roomId, 'own words', '3')).status).toBe(200)
    await pollUntil('what is no spam arrives', async () => (await heardBy(alice, roomId)).includes('own words'))
    expect(await heardBy(alice, roomId)).toEqual(['no offence', 'own words'])
  })

  test('many who write at once are all heard, once each', async () => {
    const roomId = await protectedRoom()
    const bodies = Array.from({ length: 12 }, (_, i) => `message ${i}`)
    const answers = await Promise.all(bodies.map((body, i) => say(alice, roomId, body, `n${i}`)))
    expect(answers.map(({ status }) => status)).toEqual(bodies.map(() => 200))
    expect((await heardBy(alice, roomId)).sort()).toEqual(bodies.toSorted())
    await pollUntil('all arrive', async () => (await heardBy(guardian, roomId)).length === bodies.length)
  })

  test.each([
    ['away', 502, 'M_UNKNOWN'],
    ['forging', 403, 'M_FORBIDDEN'],
  ] as const)('nothing can be sent while it is %s, until the room does without it', async (mode, status, errcode) => {
    const roomId = await protectedRoom()
    policy.setMode(mode)
    const answer = await say(alice, roomId, 'hello', '1')
    expect([answer.status, answer.body.errcode]).toEqual([status, errcode])
    await setPolicy(roomId, {})
    expect((await say(alice, roomId, 'hello', '2')).status).toBe(200)
  })

  test('rooms and policy servers by the names of MSC4284 are known', async () => {
    const roomId = await protectedRoom()
    await setPolicy(roomId, {})
    policy.setMode('of before')
    const draft = { via: `localhost:${policy.port}`, public_key: policy.publicKey }
    await alice.put(inRoom(roomId, 'state/org.matrix.msc4284.policy/'), draft)
    // An event with the current type takes precedence, whatever its content.
    expect((await say(alice, roomId, 'spam for a moment', '1')).status).toBe(200)
    const other = await alice.post(`${CLIENT}/createRoom`, { preset: 'public_chat', room_version: '12' })
    await guardian.post(`${CLIENT}/join/${encodeURIComponent(other.room_id)}?via=${home.serverName}`)
    await alice.put(inRoom(other.room_id, 'state/org.matrix.msc4284.policy/'), draft)
    policy.asked.length = 0
    expect((await say(alice, other.room_id, 'hello', '1')).status).toBe(200)
    expect((await say(alice, other.room_id, 'spam', '2')).body.errcode).toBe('M_FORBIDDEN')
    expect(policy.asked.map(({ content }) => content.body)).toEqual(['hello', 'spam'])
  })

  test('a room whose policy server has nobody in it has none', async () => {
    const roomId = await protectedRoom()
    await guardian.post(inRoom(roomId, 'leave'))
    await pollUntil('it has left', async () => {
      const { joined } = await alice.get(inRoom(roomId, 'joined_members'))
      return joined[guardian.userId] === undefined
    })
    policy.setMode('away')
    expect((await say(alice, roomId, 'alone', '1')).status).toBe(200)
  })
})

test('its key is where clients look for it, on servers that have one', async () => {
  const at = async (url: string) => (await fetch(`${url}/.well-known/matrix/policy_server`)).json()
  expect(await at(home.url)).toEqual({ public_keys: { ed25519: policy.publicKey } })
  expect(await at(guardian.url)).toMatchObject({ errcode: 'M_NOT_FOUND' })
})
