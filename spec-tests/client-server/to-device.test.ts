import { beforeAll, expect, inject, test } from 'vitest'
import { registerUser, type TestUser } from '../harness/client.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#send-to-device-messaging */
const { url } = inject('homeserver')
const SYNC = '/_matrix/client/v3/sync'
let alice: TestUser
let bob: TestUser
beforeAll(async () => {
  ;[alice, bob] = await Promise.all([registerUser(url), registerUser(url)])
})

function send(txnId: string, content: object) {
  const messages = { [bob.userId]: { [bob.deviceId]: content } }
  return alice.put(`/_matrix/client/v3/sendToDevice/my.type/${txnId}`, { messages })
}

test('a message wakes its device, and is sent until the device acknowledges it with the next token', async () => {
  const { next_batch: start } = await bob.get(SYNC)
  const waiting = bob.get(`${SYNC}?timeout=30000&since=${start}`)
  await send('one', { my_key: 'my_value' })
  const told = await waiting
  const message = { sender: alice.userId, type: 'my.type', content: { my_key: 'my_value' } }
  expect(told.to_device.events).toEqual([message])
  expect((await bob.get(`${SYNC}?since=${start}`)).to_device.events).toEqual([message])
  expect((await bob.get(`${SYNC}?since=${told.next_batch}`)).to_device?.events ?? []).toEqual([])
  expect((await bob.get(`${SYNC}?since=${start}`)).to_device?.events ?? []).toEqual([])
})

test('messages sent from everywhere at once arrive once each; a repeated request sends nothing again', async () => {
  const { next_batch: start } = await bob.get(SYNC)
  const names = Array.from({ length: 120 }, (_, number) => `many${number}`)
  const sending = Promise.all([...names, ...names].map((name) => send(name, { name })))
  const arrived: string[] = []
  let since = start
  while (arrived.length < names.length) {
    const { next_batch, to_device } = await bob.get(`${SYNC}?timeout=10000&since=${since}`)
    const events: { content: { name: string } }[] = to_device?.events ?? []
    if (events.length === 0) break
    arrived.push(...events.map((event) => event.content.name))
    since = next_batch
  }
  await sending
  expect((await bob.get(`${SYNC}?since=${since}`)).to_device?.events ?? []).toEqual([])
  expect(arrived.sort()).toEqual(names.sort())
})
