import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { storeToDeviceMessages } from '../../../storage/devices/to-device.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { encryptionEndpoints } from '../encryption-endpoints.ts'
import { getSync } from '../sync/sync.ts'
import { userEndpoints } from '../user-endpoints.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
let made = 0
beforeAll(async () => {
  api = await startClientApi({ endpoints: [...userEndpoints, ...encryptionEndpoints, getSync] })
})
beforeEach(async () => {
  alice = await api.client(`alice${++made}`, { deviceId: 'PHONE' })
  bob = await api.client(`bob${made}`, { deviceId: 'PHONE' })
})
afterAll(() => api.close())

let sent = 0
function send(messages: object, txnId = `txn${++sent}`) {
  return alice.ok('PUT', `/sendToDevice/my.type/${txnId}`, { messages })
}

function sendTo(client: TestClient, ...numbers: number[]) {
  return Promise.all(numbers.map((number) => send({ [client.userId]: { PHONE: { number } } })))
}

/** Delivers messages from Alice to Bob's phone, in one transaction. */
async function deliver(numbers: readonly number[]) {
  const message = { userId: bob.userId, deviceId: 'PHONE', sender: alice.userId, type: 'my.type' }
  const messages = numbers.map((number) => ({ ...message, content: JSON.stringify({ number }) }))
  await api.app.database.write((tx) => storeToDeviceMessages(tx, messages, 1_000_000))
}

async function sync(client: TestClient, since?: string, timeout = 0) {
  const answer = await client.ok('GET', `/sync?timeout=${timeout}${since === undefined ? '' : `&since=${since}`}`)
  const events: { sender: string; type: string; content: { number: number } }[] = answer.to_device?.events ?? []
  return { events, numbers: events.map((event) => event.content.number), next: answer.next_batch as string, answer }
}

test('a message arrives with its sender and type, and only at its device', async () => {
  const laptop = await api.client(`bob${made}`, { deviceId: 'LAPTOP' })
  const [phone, other] = [await sync(bob), await sync(laptop)]
  await send({ [bob.userId]: { PHONE: { number: 1 }, NOWHERE: { number: 2 } } })
  expect((await sync(bob, phone.next)).events).toEqual([
    { sender: alice.userId, type: 'my.type', content: { number: 1 } },
  ])
  expect((await sync(laptop, other.next)).answer.to_device).toBeUndefined()
})

test('"*" reaches every device', async () => {
  const laptop = await api.client(`bob${made}`, { deviceId: 'LAPTOP' })
  await send({ [bob.userId]: { '*': { number: 7 } } })
  expect((await sync(bob)).numbers).toEqual([7])
  expect((await sync(laptop)).numbers).toEqual([7])
})

test('a message is sent again until it is acknowledged, then never', async () => {
  const start = await sync(bob)
  await sendTo(bob, 1)
  const first = await sync(bob, start.next)
  expect(first.numbers).toEqual([1])
  expect((await sync(bob, start.next)).numbers).toEqual([1])
  expect((await sync(bob)).numbers).toEqual([1])
  expect((await sync(bob, first.next)).numbers).toEqual([])
  expect((await sync(bob, start.next)).numbers).toEqual([])
  expect((await sync(bob)).numbers).toEqual([])
})

test('a message that arrives between two syncs is not acknowledged with earlier ones', async () => {
  const start = await sync(bob)
  await sendTo(bob, 1)
  const first = await sync(bob, start.next)
  await sendTo(bob, 2)
  const second = await sync(bob, first.next)
  expect(second.numbers).toEqual([2])
  expect((await sync(bob, first.next)).numbers).toEqual([2])
  expect((await sync(bob, second.next)).numbers).toEqual([])
})

test.each(['in the first sync', 'in a later one'])(
  'many messages come in order, a hundred at a time, %s',
  async (when) => {
    const start = when === 'in a later one' ? (await sync(bob)).next : undefined
    const numbers = Array.from({ length: 250 }, (_, number) => number)
    for (let from = 0; from < 250; from += 50) await deliver(numbers.slice(from, from + 50))
    const first = await sync(bob, start)
    const second = await sync(bob, first.next)
    // A retry after a lost response gets the same messages.
    expect((await sync(bob, first.next)).numbers).toEqual(second.numbers)
    const third = await sync(bob, second.next)
    expect([first, second, third].map((answer) => answer.numbers.length)).toEqual([100, 100, 50])
    expect([...first.numbers, ...second.numbers, ...third.numbers]).toEqual(numbers)
    expect((await sync(bob, third.next)).numbers).toEqual([])
  },
)

test('a repeated request sends nothing again, the same transaction of another device or type does', async () => {
  const laptop = await api.client(`alice${made}`, { deviceId: 'LAPTOP' })
  const messages = { [bob.userId]: { PHONE: { number: 1 } } }
  await Promise.all([send(messages, 'same'), send(messages, 'same'), send(messages, 'same')])
  await send(messages, 'same')
  expect((await sync(bob)).numbers).toEqual([1])
  await laptop.ok('PUT', '/sendToDevice/my.type/same', { messages })
  await alice.ok('PUT', '/sendToDevice/other.type/same', { messages })
  expect((await sync(bob)).numbers).toEqual([1, 1, 1])
})

test('a waiting sync is woken', async () => {
  const { next } = await sync(bob)
  const waiting = sync(bob, next, 20_000)
  await sendTo(bob, 5)
  expect((await waiting).numbers).toEqual([5])
})

test('the messages of a device go with it', async () => {
  await sendTo(bob, 1)
  await bob.ok('POST', '/logout')
  expect((await sync(await api.client(`bob${made}`, { deviceId: 'PHONE' }))).numbers).toEqual([])
})

test.each([
  [{ messages: { bob: { PHONE: {} } } }, 'M_BAD_JSON'],
  [{ messages: { '@bob:hearth.test': { PHONE: 'text' } } }, 'M_BAD_JSON'],
  [{ messages: { '@bob:hearth.test': { '\0': {} } } }, 'M_BAD_JSON'],
  [{}, 'M_MISSING_PARAM'],
])('%j is refused', async (body, errcode) => {
  const answer = await alice.ask('PUT', '/sendToDevice/my.type/bad', body)
  expect([answer.status, answer.body.errcode]).toEqual([400, errcode])
})

test('content that nests too deeply is refused', async () => {
  const deep = `{"messages":{"${bob.userId}":{"PHONE":${'{"a":'.repeat(20_000)}1${'}'.repeat(20_000)}}}}`
  const answer = await alice.ask('PUT', '/sendToDevice/my.type/deep', deep)
  expect([answer.status, answer.body.errcode]).toEqual([400, 'M_BAD_JSON'])
})

test('each sync tells which keys the device has left', async () => {
  const counts = async (client: TestClient, since?: string) => {
    const { answer } = await sync(client, since)
    return [answer.device_one_time_keys_count, answer.device_unused_fallback_key_types]
  }
  expect(await counts(bob)).toEqual([{ signed_curve25519: 0 }, []])
  await bob.ok('POST', '/keys/upload', {
    one_time_keys: { 'signed_curve25519:a': 'a' },
    fallback_keys: { 'signed_curve25519:f': 'f' },
  })
  const { next } = await sync(bob)
  expect(await counts(bob, next)).toEqual([{ signed_curve25519: 1 }, ['signed_curve25519']])
  const claim = () =>
    alice.ok('POST', '/keys/claim', { one_time_keys: { [bob.userId]: { PHONE: 'signed_curve25519' } } })
  await claim()
  expect(await counts(bob, next)).toEqual([{ signed_curve25519: 0 }, ['signed_curve25519']])
  await claim()
  expect(await counts(bob, next)).toEqual([{ signed_curve25519: 0 }, []])
  await bob.ok('POST', '/keys/upload', { one_time_keys: { 'signed_curve25519:b': 'b' } })
  await bob.ok('POST', '/logout')
  expect(await counts(await api.client(`bob${made}`, { deviceId: 'PHONE' }))).toEqual([{ signed_curve25519: 0 }, []])
})
