import { afterAll, beforeAll, expect, test } from 'vitest'
import type { DeviceId, UserId } from '../../../core/ids.ts'
import { noteDeviceListChange } from '../../../storage/devices/device-lists.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, CAROL, createReadingRoom, PEOPLE, type ReadingRoom } from '../../../testing/reading-room.ts'
import { bodies, clientOf, named, type SyncBody } from '../../../testing/sync-client.ts'
import { setPresenceStatus } from '../../presence/presence-status.ts'
import { sweepPresence } from '../../presence/start-presence.ts'
import { setMarkers } from '../../rooms/sending/receipts.ts'
import { setTyping } from '../../rooms/sending/typing.ts'
import { putAccountData } from '../../users/settings/account-data.ts'
import { placeOfRoom } from './first-rooms.ts'

/** Each response has room for one room. */
const SMALL = { limits: { answers: { events: '1' } } }
const PHONE = 'PHONE' as DeviceId

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE, config: SMALL })
  await sweepPresence(app)
})
afterAll(() => app.close())

/** Creates rooms with other members, in the order in which an initial sync sends them. */
async function createRooms(...others: UserId[]): Promise<ReadingRoom[]> {
  const rooms = [await createReadingRoom(app), await createReadingRoom(app), await createReadingRoom(app)]
  for (const room of rooms) for (const other of others) await room.member(other, 'join')
  return rooms.sort((a, b) => (placeOfRoom(a.roomId) < placeOfRoom(b.roomId) ? -1 : 1))
}

const show = (presence: 'online' | 'offline', statusMsg: string) =>
  setPresenceStatus(app, { userId: CAROL, deviceId: PHONE, presence, statusMsg })
const statuses = (body: SyncBody) =>
  (body.presence?.events ?? []).flatMap(({ sender, content }: { sender: string; content: { status_msg?: string } }) =>
    sender === CAROL ? content.status_msg : [],
  )

test('a room that comes in a later part of an initial sync has all that a room of the first part has', async () => {
  const rooms = await createRooms(BOB)
  for (const { roomId, message } of rooms) {
    const read = await message(BOB, 'read')
    await setMarkers(app, {
      roomId,
      userId: ALICE,
      markers: [
        { type: 'm.read', eventId: read.event_id },
        { type: 'm.fully_read', eventId: read.event_id },
      ],
    })
    await message(BOB, 'unread')
    await setTyping(app, { roomId, userId: BOB, typing: true })
    await putAccountData(app, ALICE, { roomId, type: 'm.tag', content: { tags: { 'm.favourite': {} } } })
  }
  const client = clientOf(app, ALICE)
  for (const { roomId } of rooms) {
    const { join } = (await client.sync()).rooms
    expect(Object.keys(join)).toEqual([roomId])
    const room = join[roomId]
    expect(bodies(room.timeline.events)).toEqual(['read', 'unread'])
    expect(room.unread_notifications).toEqual({ notification_count: 1, highlight_count: 0 })
    expect(room.summary['m.joined_member_count']).toBe(2)
    expect(named(room.ephemeral.events).sort()).toEqual(['m.receipt', 'm.typing'])
    expect(named(room.account_data.events).sort()).toEqual(['m.fully_read', 'm.tag'])
  }
})

test('former rooms in later parts have their account data', async () => {
  const rooms = await createRooms(BOB)
  for (const { roomId, member } of rooms) {
    await putAccountData(app, BOB, { roomId, type: 'm.tag', content: { tags: { old: {} } } })
    await member(BOB, 'leave')
  }
  const client = clientOf(app, BOB, { filter: { room: { include_leave: true } } })
  const told = new Map<string, string[]>()
  for (let parts = 0; parts < 10; parts++) {
    const { leave = {} } = (await client.sync()).rooms ?? {}
    for (const [roomId, room] of Object.entries<SyncBody>(leave)) told.set(roomId, named(room.account_data.events))
  }
  for (const { roomId } of rooms) expect(told.get(roomId)).toEqual(['m.tag'])
})

test('account data that changes between the parts comes with its room, as it is then', async () => {
  const rooms = await createRooms()
  const set = (a: number) =>
    Promise.all(rooms.map(({ roomId }) => putAccountData(app, ALICE, { roomId, type: 'org.a', content: { a } })))
  await set(1)
  const client = clientOf(app, ALICE)
  await client.sync()
  await set(2)
  const told: object[] = []
  for (let parts = 0; parts < 10; parts++) {
    const { join = {} } = (await client.sync()).rooms ?? {}
    for (const { roomId } of rooms) told.push(...(join[roomId]?.account_data.events ?? []))
  }
  expect(told).toEqual(rooms.map(() => ({ type: 'org.a', content: { a: 2 } })))
})

test('presence and device lists of members of rooms that have not come yet are not lost', async () => {
  const rooms = await createRooms()
  const last = rooms.at(-1)!
  await last.member(CAROL, 'join')
  await show('online', 'before')
  const client = clientOf(app, ALICE)
  expect(statuses(await client.sync())).toEqual(['before'])
  await show('online', 'between')
  await app.database.write(async (tx) => noteDeviceListChange(tx, CAROL, 'cross_signing'))
  const body = await client.sync()
  expect(body.rooms.join).not.toHaveProperty([last.roomId])
  expect(statuses(body)).toEqual(['between'])
  expect(body.device_lists?.changed).toEqual([CAROL])
})

test('members whom the user meets in rooms that have not come yet are not lost', async () => {
  const [first, second, third] = (await createRooms()) as [ReadingRoom, ReadingRoom, ReadingRoom]
  await first.member(BOB, 'join')
  await second.member(BOB, 'join')
  await show('online', 'met')
  const client = clientOf(app, BOB)
  await client.sync()
  await second.member(CAROL, 'join')
  const met = await client.sync()
  expect(statuses(met)).toEqual(['met'])
  expect(met.device_lists?.changed).toContain(CAROL)
  await second.member(CAROL, 'leave')
  await third.member(CAROL, 'join')
  await third.member(BOB, 'join')
  expect(statuses(await client.sync())).toEqual(['met'])
})
