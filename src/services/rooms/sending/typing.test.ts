import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { UserId } from '../../../core/ids.ts'
import { loadTypingUsers } from '../../../storage/rooms/typing.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, CAROL, createReadingRoom, PEOPLE, type ReadingRoom } from '../../../testing/reading-room.ts'
import { startTypingExpiry } from './start-typing.ts'
import { setTyping } from './typing.ts'

let app: TestApp
let room: ReadingRoom
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
beforeEach(async () => {
  room = await createReadingRoom(app)
  await room.member(BOB, 'join')
})
afterAll(() => app.close())

const type = (userId: UserId, timeout?: number) =>
  setTyping(app, { roomId: room.roomId, userId, typing: true, timeout })
const stop = (userId: UserId) => setTyping(app, { roomId: room.roomId, userId, typing: false })
const typing = async () => (await loadTypingUsers(app.database, [room.roomId], app.clock.now())).get(room.roomId)
/** Returns the number of typing updates of the room. */
const told = async () => {
  const rows = app.database.sql
    .selectFrom('stream')
    .selectAll()
    .where('kind', '=', 'typing')
    .where('room_id', '=', room.roomId)
  return (await rows.execute()).length
}

/** As a process does at its start. */
const endExpired = () => startTypingExpiry(app).stop()

test('a timer ends it without a request, also for typing that another process received', async () => {
  const expiry = startTypingExpiry(app)
  await type(ALICE, 1)
  app.clock.advance(1000)
  await expect.poll(told).toBe(2)
  await expiry.stop()
})

test('a process that starts ends what was begun before, when its time has come', async () => {
  await type(ALICE, 1)
  const expiry = startTypingExpiry(app)
  expect(await told()).toBe(1)
  app.clock.advance(1000)
  await expect.poll(told).toBe(2)
  await expiry.stop()
})

test('the room is notified when a user starts and stops, not when they continue', async () => {
  await type(ALICE, 5000)
  await type(BOB, 5000)
  expect(await typing()).toEqual([ALICE, BOB])
  app.clock.advance(4000)
  await type(ALICE, 5000)
  expect(await told()).toBe(2)
  app.clock.advance(4000)
  expect(await typing()).toEqual([ALICE])
  await stop(ALICE)
  await stop(ALICE)
  expect(await typing()).toBeUndefined()
  expect(await told()).toBe(3)
})

test('typing that is not renewed ends once, and the room is notified', async () => {
  await type(ALICE, 5000)
  await endExpired()
  expect(await told()).toBe(1)
  app.clock.advance(5000)
  expect(await typing()).toBeUndefined()
  await endExpired()
  await endExpired()
  expect(await told()).toBe(2)
  expect(await app.database.sql.selectFrom('typing').selectAll().execute()).toEqual([])
})

test('typing again after the expiry is announced', async () => {
  await type(ALICE, 5000)
  app.clock.advance(6000)
  await type(ALICE, 5000)
  expect(await told()).toBe(2)
})

test.each([
  [undefined, 30_000],
  [0, 30_000],
  [-5, 1000],
  [1, 1000],
  [1e9, 120_000],
])('a timeout of %s ms lasts %d ms', async (timeout, lasts) => {
  await type(ALICE, timeout)
  const row = await app.database.sql
    .selectFrom('typing')
    .selectAll()
    .where('room_id', '=', room.roomId)
    .executeTakeFirst()
  expect(row!.expires_ts - app.clock.now()).toBe(lasts)
})

test('only members type, and who leaves does no more', async () => {
  await expect(type(CAROL)).rejects.toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
  await expect(stop(CAROL)).rejects.toMatchObject({ status: 403, errcode: 'M_FORBIDDEN' })
  await type(BOB)
  await room.member(BOB, 'leave')
  expect(await typing()).toBeUndefined()
  expect(await told()).toBe(2)
})
