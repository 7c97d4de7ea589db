import { expect, onTestFinished, test } from 'vitest'
import type { DeviceId, ServerName, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { storeDeviceKeys } from '../../../storage/devices/device-keys.ts'
import { deleteDevices, ensureDevice } from '../../../storage/devices/devices.ts'
import { loadRemoteDevices, wantDeviceLists } from '../../../storage/devices/remote-devices.ts'
import { beginFollowing } from '../../../storage/federation/federation-progress.ts'
import { storePresence } from '../../../storage/presence/presence.ts'
import { createTestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, createReadingRoom, PEOPLE } from '../../../testing/reading-room.ts'
import { setMarkers } from '../../rooms/sending/receipts.ts'
import { setTyping } from '../../rooms/sending/typing.ts'
import { loadKeysForServers } from './keys-for-servers.ts'
import { ownDeviceList } from './own-device-list.ts'
import { resendPresence } from './presence-edus.ts'
import { queueStreamEdus } from './queue-stream-edus.ts'

const DORA = '@dora:y' as UserId
const ZOE = '@zoe:z' as UserId
const PHONE = { userId: ALICE, deviceId: 'PHONE' as DeviceId }

async function setUp(federation: { tell_device_names?: boolean } = {}) {
  const app = await createTestApp({ users: PEOPLE, config: { federation } })
  onTestFinished(() => app.close())
  const { database } = app
  const room = await createReadingRoom(app)
  await database.write((tx) => beginFollowing(tx, 0))
  await database.write((tx) => ensureDevice(tx, { ...PHONE, displayName: 'Phone', now: 0 }))
  /** Returns the EDUs queued since the last call, as `destination type` → contents. */
  const told = async () => {
    while (await queueStreamEdus(app));
    const rows = await database.sql.selectFrom('federation_edus').selectAll().orderBy('edu_nid').execute()
    await database.sql.deleteFrom('federation_edus').execute()
    return rows.map((row): [string, JsonObject] => [`${row.destination} ${row.edu_type}`, JSON.parse(row.content)])
  }
  const presence = (userId: UserId, state: 'online' | 'unavailable') =>
    database.write((tx) =>
      storePresence(tx, [{ userId, device: { deviceId: null, presence: state }, isActive: true }], {
        processId: 'p',
        now: app.clock.now(),
        idleMs: 1000,
      }),
    )
  const upload = (key: string) =>
    database.write((tx) => storeDeviceKeys(tx, PHONE, JSON.stringify({ device_id: PHONE.deviceId, key })))
  return { ...room, app, database, told, presence, upload }
}

test('typing and receipts go to the other servers in the room, private receipts to nobody', async () => {
  const { app, roomId, member, message, told } = await setUp()
  await member(BOB, 'join')
  const event = await message(BOB, 'hello')
  await setTyping(app, { roomId, userId: ALICE, typing: true })
  expect(await told()).toEqual([])
  await member(DORA, 'join')
  await told()
  await setTyping(app, { roomId, userId: ALICE, typing: true })
  await setTyping(app, { roomId, userId: ALICE, typing: false })
  const marker = { roomId, userId: ALICE }
  await setMarkers(app, { ...marker, markers: [{ type: 'm.read', eventId: event.event_id, threadId: 'main' }] })
  await setMarkers(app, { ...marker, userId: BOB, markers: [{ type: 'm.read.private', eventId: event.event_id }] })
  const data = { ts: app.clock.now(), thread_id: 'main' }
  expect(await told()).toEqual([
    ['y m.receipt', { [roomId]: { 'm.read': { [ALICE]: { event_ids: [event.event_id], data } } } }],
    ['y m.typing', { room_id: roomId, user_id: ALICE, typing: false }],
  ])
})

test('presence goes to servers that share a room, to new ones when they come, and again after a while', async () => {
  const { app, member, told, presence } = await setUp()
  await presence(ALICE, 'online')
  expect(await told()).toEqual([])
  await member(DORA, 'join')
  const online = (state = 'online') => ({ push: [expect.objectContaining({ user_id: ALICE, presence: state })] })
  expect(await told()).toEqual([['y m.presence', online()]])
  await presence(ALICE, 'unavailable')
  await presence(BOB, 'online')
  expect(await told()).toEqual([['y m.presence', online('unavailable')]])
  app.clock.advance(30 * 60_000)
  await resendPresence(app)
  await resendPresence(app)
  expect(await told()).toEqual([['y m.presence', online('unavailable')]])
})

test('each change of a device names the one before it, from the list that other servers have on', async () => {
  const { app, database, member, told, upload } = await setUp({ tell_device_names: true })
  await member(DORA, 'join')
  await upload('1')
  await told()
  const { stream_id: fetched } = await ownDeviceList(app, ALICE)
  await upload('2')
  await upload('3')
  const [[kind, update] = ['', {}], ...others] = await told()
  expect(others).toEqual([])
  expect([kind, update]).toEqual([
    'y m.device_list_update',
    expect.objectContaining({
      device_id: 'PHONE',
      device_display_name: 'Phone',
      prev_id: [fetched],
      keys: { device_id: 'PHONE', key: '3' },
    }),
  ])
  await database.write((tx) => deleteDevices(tx, ALICE, { only: [PHONE.deviceId] }))
  expect(await told()).toEqual([
    ['y m.device_list_update', expect.objectContaining({ deleted: true, prev_id: [update.stream_id] })],
  ])
})

test('other servers get no device names unless the configuration permits it', async () => {
  const { app, member, told, upload } = await setUp()
  await member(DORA, 'join')
  await upload('1')
  const [[, update] = ['', {}]] = await told()
  expect(update).toMatchObject({ device_id: 'PHONE', keys: { key: '1' } })
  const list = await ownDeviceList(app, ALICE)
  expect(list.devices).toMatchObject([{ device_id: 'PHONE', keys: { key: '1' } }])
  const queried = await loadKeysForServers(app, app.database, new Map([[ALICE, []]]))
  expect(queried.device_keys[ALICE]).toMatchObject({ PHONE: { key: '1' } })
  expect(JSON.stringify([update, list, queried])).not.toContain('"Phone"')
})

test('joining a room sends all devices of the user to servers that shared no room with the user', async () => {
  const { app, member, told, upload, roomId } = await setUp()
  await member(DORA, 'join')
  await upload('1')
  await told()
  const other = await createReadingRoom(app)
  await told()
  await other.member(DORA, 'join')
  await other.member(ZOE, 'join')
  expect(await told()).toEqual([])
  await other.member(ALICE, 'leave')
  await other.member(ALICE, 'join')
  const [update, ...more] = await told()
  expect(more).toEqual([])
  expect(update).toEqual(['z m.device_list_update', expect.objectContaining({ device_id: 'PHONE', prev_id: [] })])
  expect(roomId).not.toBe(other.roomId)
})

test('device lists of users with whom no room is shared any more are forgotten', async () => {
  const { database, member, told } = await setUp()
  const list = { userId: DORA, server: 'y' as ServerName }
  const want = () => database.write((tx) => wantDeviceLists(tx, [list]))
  const known = async () => (await database.sql.selectFrom('remote_device_lists').select('user_id').execute()).length
  await member(DORA, 'join')
  await told()
  await want()
  await member(DORA, 'join', DORA, { displayname: 'Dora' })
  await told()
  expect(await known()).toBe(1)
  await member(DORA, 'leave')
  await told()
  expect(await known()).toBe(0)
  await member(DORA, 'join')
  await told()
  await want()
  await member(ALICE, 'leave')
  await told()
  expect(await known()).toBe(0)
  expect((await loadRemoteDevices(database, [DORA], 1_000_000)).size).toBe(0)
})
