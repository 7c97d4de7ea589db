import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { pollUntil } from '../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../testing/postgres.ts'
import { asUser, registerUser, sendText, type TestUser } from '../harness/client.ts'
import { type Fault, type FaultyProxy, startFaultyProxy } from '../harness/faulty-proxy.ts'
import { startFederation } from '../harness/federation.ts'
import { START_MS, type TestHearth } from '../harness/hearth.ts'

const CLIENT = '/_matrix/client/v3'
/** On a busy machine. */
const PATIENCE_MS = 90_000
vi.setConfig({ testTimeout: 3 * PATIENCE_MS })
/** Each poll reads a whole room: frequent polls would slow the servers down. */
const PAUSE_MS = 100

let federation: Awaited<ReturnType<typeof startFederation>>
let postgres: TestPostgres
let proxy: FaultyProxy
/** Two processes of one server, which reach the other server through the proxy. */
let senders: TestHearth[]
/** A server of one process. */
let alone: TestHearth
let alice: TestUser
let bob: TestUser

beforeAll(async () => {
  federation = await startFederation(0)
  let receiver: TestHearth
  ;[receiver, senders, alone] = await Promise.all([startReceiver(), startSenders(), federation.hearth()])
  ;[alice, bob] = await Promise.all([registerUser(senders[0]!.url), registerUser(receiver.url)])

  async function startReceiver(): Promise<TestHearth> {
    proxy = await startFaultyProxy(federation)
    const hearth = await federation.hearth({ serverName: `localhost:${proxy.port}` })
    proxy.passTo(hearth.federationPort!)
    return hearth
  }

  async function startSenders(): Promise<TestHearth[]> {
    postgres = await startPostgres()
    federation.onDispose(() => postgres.stop())
    const databaseUrl = await postgres.createDatabase()
    const first = await federation.hearth({ databaseUrl })
    return [first, await federation.hearth({ databaseUrl, serverName: first.serverName })]
  }
}, START_MS)
afterAll(() => federation.dispose())

const room = (roomId: string, rest: string) => `${CLIENT}/rooms/${encodeURIComponent(roomId)}/${rest}`

/** Creates a room of Alice that Bob has joined. */
async function sharedRoom(): Promise<string> {
  const { room_id: roomId } = await alice.post(`${CLIENT}/createRoom`, { preset: 'public_chat' })
  await bob.post(`${CLIENT}/join/${encodeURIComponent(roomId)}?via=${senders[0]!.serverName}`, {})
  return roomId
}

/** Returns the messages on Bob's server, oldest first. */
async function heard(roomId: string): Promise<string[]> {
  const { chunk } = await bob.get(room(roomId, 'messages?dir=b&limit=1000'))
  return chunk.flatMap((event: { content: { body?: string } }) => event.content.body ?? []).reverse()
}

async function expectHeard(roomId: string, bodies: readonly string[]): Promise<void> {
  const hearsAll = async () => (await heard(roomId)).length >= bodies.length
  await pollUntil('bob hears all', hearsAll, PATIENCE_MS, PAUSE_MS)
  expect(await heard(roomId)).toEqual(bodies)
}

async function say(roomId: string, count: number, prefix = 'message'): Promise<string[]> {
  const bodies = Array.from({ length: count }, (_, i) => `${prefix} ${i}`)
  for (const body of bodies) await sendText(alice, roomId, body)
  return bodies
}

/** Returns the to-device messages in Bob's next sync, from a token on. */
async function toDevice(since: string): Promise<unknown[]> {
  const answer = await bob.get(`${CLIENT}/sync?timeout=0&since=${encodeURIComponent(since)}`)
  return (answer.to_device?.events ?? []).map((event: { content: unknown }) => event.content)
}

const FAULTS: readonly Fault[] = ['down', 'error', 'garbage', 'slow', 'deaf']

describe.each(FAULTS)('while the other server is %s', (fault) => {
  test('nothing is lost, comes twice, or is out of order', async () => {
    const roomId = await sharedRoom()
    const { next_batch: since } = await bob.get(`${CLIENT}/sync?timeout=0`)
    await expectHeard(roomId, [])
    const before = proxy.transactions().length
    proxy.setFault(fault)
    // More than a transaction holds.
    const bodies = await say(roomId, 60)
    const messages = { [bob.userId]: { '*': { fault } } }
    await alice.put(`${CLIENT}/sendToDevice/m.test/${fault}`, { messages })
    await pollUntil('a transaction is sent', () => proxy.transactions().length > before)
    const [failed] = proxy.transactions().slice(before)
    if (fault !== 'slow') {
      await pollUntil(
        'it is sent again',
        () =>
          proxy
            .transactions()
            .slice(before)
            .filter((id) => id === failed).length > 1,
      )
    }
    proxy.setFault('none')
    await expectHeard(roomId, bodies)
    const received = await pollUntil('bob gets the message to his device', async () => {
      const found = await toDevice(since)
      return found.length > 0 && found
    })
    expect(received).toEqual([{ fault }])
  })
})

test('a server that was down for a while gets what it has missed', async () => {
  const roomId = await sharedRoom()
  proxy.setFault('down')
  const before = proxy.transactions().length
  const bodies = await say(roomId, 3)
  await pollUntil('it has rested a while', () => proxy.transactions().length >= before + 4)
  proxy.setFault('none')
  await expectHeard(roomId, bodies)
})

/** Sends through a process until it dies, and returns the acknowledged messages. */
async function sayUntilKilled(user: TestUser, roomId: string, prefix: string): Promise<string[]> {
  const sent: string[] = []
  for (let i = 0; ; i++) {
    try {
      await sendText(user, roomId, `${prefix} ${i}`)
      sent.push(`${prefix} ${i}`)
    } catch {
      return sent
    }
  }
}

test('events that a killed process acknowledged arrive in order through the other process', async () => {
  const roomId = await sharedRoom()
  const [first, second] = senders as [TestHearth, TestHearth]
  const saying = sayUntilKilled(alice, roomId, 'before')
  await pollUntil('some have arrived', async () => (await heard(roomId)).length > 20, PATIENCE_MS, PAUSE_MS)
  await first.kill('SIGKILL')
  const sent = await saying
  await sendText(asUser(second.url, credentials(alice)), roomId, 'after')
  const hasLast = async () => (await heard(roomId)).includes('after')
  await pollUntil('the last has arrived', hasLast, PATIENCE_MS, PAUSE_MS)
  const arrived = await heard(roomId)
  // A request in flight when the process died may have been stored without a response.
  expect(arrived.filter((body) => sent.includes(body) || body === 'after')).toEqual([...sent, 'after'])
  expect(new Set(arrived).size).toBe(arrived.length)
  await first.restart()
})

function credentials({ userId, deviceId, accessToken }: TestUser) {
  return { user_id: userId, device_id: deviceId, access_token: accessToken }
}

test('events that a killed server acknowledged arrive when it is back', async () => {
  const carol = await registerUser(alone.url)
  const { room_id: roomId } = await carol.post(`${CLIENT}/createRoom`, { preset: 'public_chat' })
  await bob.post(`${CLIENT}/join/${encodeURIComponent(roomId)}?via=${alone.serverName}`, {})
  proxy.setFault('slow')
  const saying = sayUntilKilled(carol, roomId, 'carol')
  const before = proxy.transactions().length
  await pollUntil('something is sent', () => proxy.transactions().length > before)
  await alone.kill('SIGKILL')
  const sent = await saying
  proxy.setFault('none')
  await alone.restart()
  const hearsAll = async () => (await heard(roomId)).length >= sent.length
  await pollUntil('all have arrived', hearsAll, PATIENCE_MS, PAUSE_MS)
  const arrived = await heard(roomId)
  expect(arrived.filter((body) => sent.includes(body))).toEqual(sent)
  expect(new Set(arrived).size).toBe(arrived.length)
})
