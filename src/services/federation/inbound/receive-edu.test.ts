import { expect, onTestFinished, test } from 'vitest'
import type { DeviceId, ServerName, UserId } from '../../../core/ids.ts'
import type { JsonObject } from '../../../core/pdu.ts'
import { createActiveWork } from '../../../infra/concurrency/active-work.ts'
import { ensureDevice } from '../../../storage/devices/devices.ts'
import type { TestOverrides } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, DEVICE } from '../../../testing/reading-room.ts'
import { BORIS, createAppWithRemote, createSharedRoom, REMOTE } from '../../../testing/remote-server.ts'
import { type Fetches, fetchStaleLists, freshDeviceLists } from '../requests/fetch-device-lists.ts'
import { receiveEdus } from './receive-edu.ts'

const STRANGER = '@stranger:remote' as UserId

async function setUp(config: TestOverrides['config'] = {}) {
  const app = await createAppWithRemote(config)
  const { database, clock } = app
  onTestFinished(() => app.close())
  const room = await createSharedRoom(app)
  const device = { displayName: null, now: clock.now() }
  await database.write(async (tx) => {
    await ensureDevice(tx, { ...device, userId: ALICE, deviceId: DEVICE })
    await ensureDevice(tx, { ...device, userId: ALICE, deviceId: 'SECOND' as DeviceId })
  })
  const told = async (kind: string, from = 0) =>
    (
      await database.sql
        .selectFrom('stream')
        .select(['room_id', 'user_id', 'detail'])
        .where('kind', '=', kind)
        .where('stream_position', '>', from)
        .execute()
    ).map((row) => row.detail ?? row.user_id)
  return {
    ...room,
    app,
    database,
    told,
    edu: (edu_type: string, content: JsonObject, origin: ServerName = REMOTE) =>
      receiveEdus(app, origin, [{ edu_type, content }]),
  }
}

const devices = (keys: string[]) =>
  keys.map((device_id) => ({ device_id, keys: deviceKeys(device_id), device_display_name: `${device_id}'s name` }))

function deviceKeys(device_id: string): JsonObject {
  return { user_id: BORIS, device_id, algorithms: [], keys: { [`ed25519:${device_id}`]: 'key' }, signatures: {} }
}

test('invalid EDUs and EDUs for users of other servers are ignored', async () => {
  const { app, roomId, edu, told } = await setUp()
  await receiveEdus(app, REMOTE, [null, 7, {}, { edu_type: 'm.typing' }, { edu_type: 'm.typing', content: [] }])
  await edu('m.unknown', {})
  await edu('m.typing', { room_id: roomId, user_id: ALICE, typing: true })
  await edu('m.typing', { room_id: roomId, user_id: BORIS, typing: true }, 'other' as ServerName)
  await edu('m.typing', { room_id: roomId, user_id: STRANGER, typing: true })
  expect(await told('typing')).toEqual([])
})

test('typing begins, ends, and is repeated for other servers after half a minute', async () => {
  const { app, roomId, edu, told } = await setUp()
  const typing = (on: boolean) => edu('m.typing', { room_id: roomId, user_id: BORIS, typing: on })
  await typing(true)
  app.clock.advance(20_000)
  await typing(true)
  expect(await told('typing')).toEqual([BORIS])
  app.clock.advance(20_000)
  await typing(true)
  await typing(false)
  await typing(false)
  expect(await told('typing')).toEqual([BORIS, BORIS, BORIS])
})

test('receipts are stored with their threads, those of events that are not here until one of an event that is', async () => {
  const { database, roomId, edu, make, receive, message } = await setUp()
  const event = await message(ALICE, 'hello')
  const late = await make()
  const receipt = (event_id: string, thread_id?: string) => ({
    event_ids: [event_id],
    data: { ts: 1, ...(thread_id && { thread_id }) },
  })
  await edu('m.receipt', { [roomId]: { 'm.read': { [BORIS]: receipt(event.event_id, 'main') } } })
  await edu('m.receipt', {
    [roomId]: { 'm.read': { [BORIS]: receipt(late.event_id), [ALICE]: receipt(event.event_id) } },
  })
  await edu('m.receipt', { [roomId]: { 'm.read': 'nonsense' }, other: 7 })
  const rows = () => database.sql.selectFrom('receipts').selectAll().orderBy('thread_id').execute()
  const main = { user_id: BORIS, thread_id: 'main', event_id: event.event_id, ts: 1 }
  expect(await rows()).toMatchObject([{ event_id: late.event_id, event_order: -Number.MAX_SAFE_INTEGER }, main])
  await receive(late)
  const order = expect.toSatisfy((value: number) => value > 0)
  await expect.poll(rows).toMatchObject([{ thread_id: '', event_id: late.event_id, event_order: order }, main])
  // Unknown events have no order relative to known ones.
  await edu('m.receipt', { [roomId]: { 'm.read': { [BORIS]: receipt('$elsewhere') } } })
  expect(await rows()).toMatchObject([{ event_id: late.event_id }, main])
})

test('presence of users who share a room is stored, and announced when it changes', async () => {
  const { app, database, edu, told } = await setUp()
  const push = (user_id: UserId, presence: string) =>
    edu('m.presence', { push: [{ user_id, presence, last_active_ago: 100, status_msg: 'here' }, { user_id: 7 }] })
  await push(BORIS, 'online')
  await push(BORIS, 'online')
  await push(STRANGER, 'online')
  await push(BOB, 'online')
  expect(await told('presence')).toEqual([REMOTE])
  expect(await database.sql.selectFrom('presence').selectAll().execute()).toEqual([
    {
      user_id: BORIS,
      presence: 'online',
      status_msg: 'here',
      last_active_ts: app.clock.now() - 100,
      heard_ts: app.clock.now(),
    },
  ])
})

test('a message to devices is delivered once', async () => {
  const { database, edu } = await setUp()
  const send = (message_id: string, sender: UserId, device: string) =>
    edu('m.direct_to_device', { sender, type: 'm.test', message_id, messages: { [ALICE]: { [device]: { a: 1 } } } })
  await send('one', BORIS, '*')
  await send('one', BORIS, '*')
  await send('two', BORIS, DEVICE)
  await send('three', ALICE, DEVICE)
  const rows = await database.sql
    .selectFrom('to_device_messages')
    .select(['device_id', 'sender', 'content'])
    .orderBy('message_nid')
    .execute()
  expect(rows.map((row) => row.device_id).sort()).toEqual([DEVICE, DEVICE, 'SECOND'])
  expect(rows[0]).toMatchObject({ sender: BORIS, content: '{"a":1}' })
})

test('a device list is fetched when somebody asks, follows changes, and is fetched again when one was missed', async () => {
  const { app, database, edu, told } = await setUp()
  let list = { user_id: BORIS, stream_id: 5, devices: devices(['A', 'B']) }
  app.answerWith(() => list)
  const ids = async () => (await freshDeviceLists(app, [BORIS, STRANGER])).get(BORIS)?.map((each) => each.device_id)
  expect(await ids()).toEqual(['A', 'B'])
  expect(await ids()).toEqual(['A', 'B'])
  expect(app.asked.map((each) => each.path)).toEqual([
    `/_matrix/federation/v1/user/devices/${encodeURIComponent(BORIS)}`,
  ])
  const update = (device_id: string, stream_id: number, prev_id: number[], more: JsonObject) =>
    edu('m.device_list_update', { user_id: BORIS, device_id, stream_id, prev_id, ...more })
  await update('C', 6, [5], { keys: deviceKeys('C') })
  await update('C', 6, [5], { keys: deviceKeys('C') })
  await update('A', 7, [6], { deleted: true })
  expect(await ids()).toEqual(['B', 'C'])
  expect(app.asked).toHaveLength(1)
  const seen = (await told('device_list')).length
  await update('D', 9, [8], { keys: deviceKeys('D') })
  expect((await told('device_list')).length).toBeGreaterThan(seen)
  list = { ...list, stream_id: 9, devices: devices(['C', 'D']) }
  const fetches: Fetches = createActiveWork()
  await fetchStaleLists(app, fetches)
  await fetches.idle()
  expect(await ids()).toEqual(['C', 'D'])
  expect(app.asked).toHaveLength(2)
  const before = (await told('device_list')).length
  await update('E', 20, [9], {})
  expect((await told('device_list')).length).toBe(before)
  await edu('m.device_list_update', { user_id: STRANGER, device_id: 'X', stream_id: 1 })
  const lists = await database.sql.selectFrom('remote_device_lists').select(['user_id', 'is_stale']).execute()
  expect(lists).toEqual([{ user_id: BORIS, is_stale: true }])
})

test('devices that are too large, or too many, are dropped, and the others followed', async () => {
  const limits = { sizes: { device_keys: '400' }, totals: { device_keys: '600' }, counts: { devices: 4 } }
  const { app, edu } = await setUp({ limits })
  const large = { device_id: 'L', keys: { ...deviceKeys('L'), padding: 'x'.repeat(400) } }
  app.answerWith(() => ({ user_id: BORIS, stream_id: 5, devices: [large, ...devices(['A', 'B', 'C', 'D'])] }))
  const ids = async () => (await freshDeviceLists(app, [BORIS])).get(BORIS)?.map(({ device_id }) => device_id)
  expect(await ids()).toEqual(['A', 'B', 'C'])
  const update = (device_id: string, stream_id: number, more: JsonObject) =>
    edu('m.device_list_update', { user_id: BORIS, device_id, stream_id, prev_id: [stream_id - 1], ...more })
  await update('A', 6, { deleted: true })
  await update('E', 7, { keys: deviceKeys('E') })
  expect(await ids()).toEqual(['B', 'C', 'E'])
  await update('F', 8, { keys: { ...deviceKeys('F'), padding: 'x'.repeat(250) } })
  expect(await ids()).toEqual(['B', 'C', 'E'])
  expect(app.asked).toHaveLength(1)
})

test('of a user who has more keys than an answer holds, devices are left out, and the user is known', async () => {
  const { app } = await setUp({ limits: { answers: { keys: '250' } } })
  app.answerWith(() => ({ user_id: BORIS, stream_id: 5, devices: devices(['A', 'B', 'C']) }))
  expect((await freshDeviceLists(app, [BORIS])).get(BORIS)).toHaveLength(2)
  expect((await freshDeviceLists(app, [BORIS])).get(BORIS)).toHaveLength(2)
  expect(app.asked).toHaveLength(1)
})

test('a list that cannot be fetched is not taken for up to date, and tried again later', async () => {
  const { app } = await setUp()
  app.answerWith(() => ({ user_id: BORIS, stream_id: 'nonsense', devices: [] }))
  expect((await freshDeviceLists(app, [BORIS])).size).toBe(0)
  expect((await freshDeviceLists(app, [BORIS])).size).toBe(0)
  expect(app.asked).toHaveLength(1)
  app.clock.advance(1000)
  app.answerWith(() => ({ user_id: BORIS, stream_id: 1, devices: [] }))
  expect((await freshDeviceLists(app, [BORIS])).get(BORIS)).toEqual([])
})

test('new cross-signing keys are stored and announced', async () => {
  const { database, edu, told } = await setUp()
  const key = (usage: string, value: string) => ({
    user_id: BORIS,
    usage: [usage],
    keys: { [`ed25519:${value}`]: value },
  })
  await edu('m.signing_key_update', { user_id: BORIS, master_key: key('master', 'M') })
  await edu('m.signing_key_update', { user_id: BORIS, master_key: key('self_signing', 'S') })
  const rows = await database.sql.selectFrom('cross_signing_keys').select(['usage', 'public_key']).execute()
  expect(rows).toEqual([{ usage: 'master', public_key: 'M' }])
  expect(await told('device_list')).toContain('cross_signing')
})
