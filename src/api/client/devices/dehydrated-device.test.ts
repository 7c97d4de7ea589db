import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { DeviceId } from '../../../core/ids.ts'
import { logInDevice } from '../../../services/users/device-login.ts'
import { findTokenlessHolder } from '../../../storage/users/access-tokens.ts'
import { startClientApi, type TestClient } from '../../../testing/client-api.ts'
import { encryptionEndpoints } from '../encryption-endpoints.ts'
import { userEndpoints } from '../user-endpoints.ts'

let api: Awaited<ReturnType<typeof startClientApi>>
let alice: TestClient
let bob: TestClient
let made = 0
beforeAll(async () => {
  api = await startClientApi({ endpoints: [...userEndpoints, ...encryptionEndpoints] })
})
beforeEach(async () => {
  ;[alice, bob] = await Promise.all([api.client(`alice${++made}`, { deviceId: 'PHONE' }), api.client(`bob${made}`)])
})
afterAll(() => api.close())

const PATH = '/../unstable/org.matrix.msc3814.v1/dehydrated_device'
const DATA = { algorithm: 'm.dehydration.v2', device_pickle: 'p', nonce: 'n' }

function upload(deviceId: string, more: object = {}) {
  const keys = { [`ed25519:${deviceId}`]: 'e' }
  const device_keys = { user_id: alice.userId, device_id: deviceId, algorithms: [], keys, signatures: {} }
  const body = { device_id: deviceId, device_data: DATA, device_keys, one_time_keys: { 'alg:a': 'k' } }
  return alice.ask('PUT', PATH, { ...body, initial_device_display_name: 'Asleep', ...more })
}

async function send(deviceId: string, ...numbers: number[]) {
  for (const number of numbers) {
    const messages = { [alice.userId]: { [deviceId]: { number } } }
    await bob.ok('PUT', `/sendToDevice/my.type/${deviceId}.${number}`, { messages })
  }
}

const numbersOf = (events: { content: { number: number } }[]) => events.map((event) => event.content.number)

test('a dehydrated device has keys like any other, and can be got back', async () => {
  expect((await alice.ask('GET', PATH)).body.errcode).toBe('M_NOT_FOUND')
  expect(await upload('ASLEEP')).toEqual({ status: 200, body: { device_id: 'ASLEEP' } })
  expect(await alice.ok('GET', PATH)).toEqual({ device_id: 'ASLEEP', device_data: DATA })
  const { device_keys } = await bob.ok('POST', '/keys/query', { device_keys: { [alice.userId]: [] } })
  expect(device_keys[alice.userId].ASLEEP).toMatchObject({ unsigned: { device_display_name: 'Asleep' } })
  const claim = { one_time_keys: { [alice.userId]: { ASLEEP: 'alg' } } }
  expect((await bob.ok('POST', '/keys/claim', claim)).one_time_keys[alice.userId].ASLEEP).toEqual({ 'alg:a': 'k' })
  expect((await bob.ask('GET', PATH)).status).toBe(404)
})

test('it collects messages, which stay until it goes', async () => {
  await upload('ASLEEP')
  const numbers = Array.from({ length: 110 }, (_, number) => number)
  await send('ASLEEP', ...numbers)
  for (let time = 0; time < 2; time++) {
    const first = await alice.ok('GET', `${PATH}/ASLEEP/events`)
    expect(numbersOf(first.events)).toEqual(numbers.slice(0, 100))
    const second = await alice.ok('GET', `${PATH}/ASLEEP/events?from=${first.next_batch}`)
    expect(numbersOf(second.events)).toEqual(numbers.slice(100))
    expect(second.next_batch).toBeUndefined()
  }
  const first = await alice.ok('POST', `${PATH}/ASLEEP/events`, {})
  const second = await alice.ok('POST', `${PATH}/ASLEEP/events`, { next_batch: first.next_batch })
  const third = await alice.ok('POST', `${PATH}/ASLEEP/events`, { next_batch: second.next_batch })
  expect([first, second, third].map(({ events }) => events.length)).toEqual([100, 10, 0])
  expect(first.events[0]).toEqual({ sender: bob.userId, type: 'my.type', content: { number: 0 } })
  expect(await alice.ok('DELETE', PATH)).toEqual({ device_id: 'ASLEEP' })
  expect((await alice.ask('GET', `${PATH}/ASLEEP/events`)).body.errcode).toBe('M_FORBIDDEN')
  expect((await alice.ask('DELETE', PATH)).body.errcode).toBe('M_NOT_FOUND')
})

test('a new one takes the place of the old one, keys and messages included', async () => {
  await upload('FIRST')
  await upload('SECOND')
  expect((await alice.ok('GET', PATH)).device_id).toBe('SECOND')
  expect((await alice.ok('GET', '/devices')).devices.map((device: { device_id: string }) => device.device_id)).toEqual([
    'PHONE',
    'SECOND',
  ])
  await send('SECOND', 1)
  await upload('SECOND')
  expect((await alice.ok('GET', `${PATH}/SECOND/events`)).events).toEqual([])
})

test('a device that is in use is not taken for it, and others may not read its messages', async () => {
  const answer = await upload('PHONE')
  expect([answer.status, answer.body.errcode]).toEqual([400, 'M_INVALID_PARAM'])
  expect((await upload('ASLEEP', { device_keys: undefined })).body.errcode).toBe('M_MISSING_PARAM')
  await upload('ASLEEP')
  expect((await bob.ask('GET', `${PATH}/ASLEEP/events`)).status).toBe(403)
  expect((await alice.ask('GET', `${PATH}/PHONE/events`)).status).toBe(403)
  expect((await alice.ask('GET', `${PATH}/ASLEEP/events?from=nonsense`)).status).toBe(400)
})

test('it can neither be logged in to nor used', async () => {
  await upload('ASLEEP')
  const { app } = api
  const logIn = (deviceId: string) =>
    app.database.write((tx) =>
      logInDevice(app, tx, {
        userId: alice.userId,
        device: { deviceId: deviceId as DeviceId, wantsRefreshToken: false },
      }),
    )
  await expect(logIn('ASLEEP')).rejects.toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' })
  expect(await logIn('PHONE')).toMatchObject({ device_id: 'PHONE' })
  const deviceAs = async (deviceId: string) =>
    (await findTokenlessHolder(app.database, { userId: alice.userId, deviceId }))?.device_id
  expect([await deviceAs('ASLEEP'), await deviceAs('PHONE')]).toEqual([null, 'PHONE'])
})
