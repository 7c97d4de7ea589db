import { beforeEach, expect, test } from 'vitest'
import type { DeviceId, UserId } from '../../core/ids.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database } from '../engine/database.ts'
import { insertUser } from '../users/users.ts'
import { ensureDevice } from './devices.ts'
import { deleteToDeviceMessages, loadToDeviceMessages, storeToDeviceMessages } from './to-device.ts'

const PHONE = { userId: '@a:x' as UserId, deviceId: 'PHONE' as DeviceId }
const LAPTOP = { ...PHONE, deviceId: 'LAPTOP' as DeviceId }
/** The counted bytes of each message: its text, type, sender and a constant. */
const BYTES = 1000
const TYPE = 'test'

let database: Database
beforeEach(async () => {
  database = await createTestDatabase()
  await database.write(async (tx) => {
    const user = { password_hash: null, is_admin: false, is_guest: false, created_ts: 0 }
    await insertUser(tx, { ...user, user_id: PHONE.userId })
    for (const device of [PHONE, LAPTOP]) await ensureDevice(tx, { ...device, displayName: null, now: 0 })
  })
  return () => database.close()
})

/** A message that counts 1000 bytes. */
function message(sender: string, name: string, deviceId: string = PHONE.deviceId) {
  const padding = BYTES - 200 - TYPE.length - sender.length - JSON.stringify({ name, padding: '' }).length
  const content = JSON.stringify({ name, padding: 'x'.repeat(padding) })
  return { userId: PHONE.userId, deviceId, sender: sender as UserId, type: TYPE, content }
}

function store(limit: number, ...messages: ReturnType<typeof message>[]) {
  return database.write((tx) => storeToDeviceMessages(tx, messages, limit))
}

async function inbox(device = PHONE, range: { limit?: number; bytes?: number; from?: number } = {}) {
  const all = { from: 0, to: Number.MAX_SAFE_INTEGER, limit: 1000, bytes: 1_000_000_000, ...range }
  const { messages, hasMore } = await loadToDeviceMessages(database, device, all)
  return { names: messages.map(({ content }) => JSON.parse(content).name), hasMore, last: messages.at(-1)?.position }
}

test('an inbox holds what it can, and others are not concerned', async () => {
  expect(await store(2 * BYTES, message('@b:x', '1'), message('@b:x', '2'))).toEqual([])
  expect(await store(2 * BYTES, message('@b:x', 'other', LAPTOP.deviceId))).toEqual([])
  expect((await inbox()).names).toEqual(['1', '2'])
})

test('from a full inbox the messages go of the user who fills most of it', async () => {
  await store(
    4 * BYTES,
    message('@friend:x', 'friend'),
    message('@b:x', '1'),
    message('@b:x', '2'),
    message('@b:x', '3'),
  )
  expect(await store(4 * BYTES, message('@friend:x', 'friend again'))).toEqual([
    { user_id: PHONE.userId, device_id: PHONE.deviceId, dropped: 3 },
  ])
  expect((await inbox()).names).toEqual(['friend', 'friend again'])
})

test('many users of one server fill it together', async () => {
  const own = [message('@friend:x', '1'), message('@friend:x', '2')]
  const evil = ['a', 'b', 'c', 'd'].map((name) => message(`@${name}:evil`, name))
  await store(6 * BYTES, ...own, ...evil)
  await store(6 * BYTES, message('@e:evil', 'e'))
  const { names } = await inbox()
  expect(names).toEqual(expect.arrayContaining(['1', '2', 'e']))
  expect(names.length).toBeLessThan(6)
})

test('one request that is more than an inbox holds leaves what fits', async () => {
  const flood = Array.from({ length: 10 }, (_, place) => message('@b:x', String(place)))
  const [full] = await store(4 * BYTES, ...flood)
  expect(full).toMatchObject({ device_id: PHONE.deviceId })
  expect((await inbox()).names.length).toBeLessThanOrEqual(4)
})

test('a message to all devices is refused only where there is no room', async () => {
  await store(2 * BYTES, message('@b:x', '1'), message('@b:x', '2'))
  await store(2 * BYTES, message('@friend:x', 'all', '*'))
  expect((await inbox(LAPTOP)).names).toEqual(['all'])
  expect((await inbox(PHONE)).names).toEqual(['all'])
})

test('acknowledged messages free their space', async () => {
  await store(3 * BYTES, message('@b:x', '1'), message('@b:x', '2'), message('@c:x', '3'))
  const { last } = await inbox(PHONE, { limit: 2 })
  await database.write((tx) => deleteToDeviceMessages(tx, PHONE, last!))
  expect(await store(3 * BYTES, message('@b:x', '4'), message('@b:x', '5'))).toEqual([])
  expect((await inbox()).names).toEqual(['3', '4', '5'])
})

test('messages are sent up to a number of bytes, and a single one whatever its size', async () => {
  await store(10 * BYTES, ...['1', '2', '3'].map((name) => message('@b:x', name)))
  expect(await inbox(PHONE, { bytes: 2 * BYTES })).toMatchObject({ names: ['1', '2'], hasMore: true })
  const first = await inbox(PHONE, { bytes: 1 })
  expect(first).toMatchObject({ names: ['1'], hasMore: true })
  expect(await inbox(PHONE, { from: first.last! })).toMatchObject({ names: ['2', '3'], hasMore: false })
  expect(await inbox(PHONE, { limit: 3 })).toMatchObject({ names: ['1', '2', '3'], hasMore: false })
})
