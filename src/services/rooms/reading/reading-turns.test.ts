import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseRoomEventFilter } from '../../../core/filters/filter-schema.ts'
import type { EventId, UserId } from '../../../core/ids.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, BOB, createReadingRoom, DEVICE, PEOPLE, type ReadingRoom } from '../../../testing/reading-room.ts'
import { readMessages } from './read-messages.ts'
import { readRelations } from './relations.ts'
import { readThreads } from './threads.ts'

let app: TestApp
let room: ReadingRoom
let root: EventId
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
  room = await createReadingRoom(app)
  await room.member(BOB, 'join')
  root = (await room.message(ALICE, 'root')).event_id
  await room.relate(ALICE, 'm.thread', root)
})
afterAll(() => app.close())

const messages = (userId: UserId, filter: object) =>
  readMessages(app, {
    roomId: room.roomId,
    userId,
    deviceId: DEVICE,
    direction: 'backwards',
    filter: parseRoomEventFilter(filter),
  })

/** Fills the places of a user; the result frees them. */
function fillPlaces(userId: UserId): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  for (let place = 0; place < 3; place++) void app.reading.inTurn(userId, () => promise)
  return resolve
}

describe('costly reads of a user wait while as many are being done as may be, and those of others do not:', () => {
  test.each<[string, (userId: UserId) => Promise<{ chunk: unknown[] }>]>([
    ['threads', (userId) => readThreads(app, { roomId: room.roomId, userId, deviceId: DEVICE, include: 'all' })],
    [
      'relations',
      (userId) =>
        readRelations(app, { roomId: room.roomId, eventId: root, userId, deviceId: DEVICE, direction: 'backwards' }),
    ],
    ['filtered history', (userId) => messages(userId, { types: ['m.room.message'] })],
    ['history with threads', (userId) => messages(userId, {})],
  ])('%s', async (_, read) => {
    const free = fillPlaces(ALICE)
    let isDone = false
    const own = read(ALICE).finally(() => {
      isDone = true
    })
    expect((await read(BOB)).chunk.length).toBeGreaterThan(0)
    expect((await read(BOB)).chunk.length).toBeGreaterThan(0)
    expect(isDone).toBe(false)
    free()
    expect((await own).chunk.length).toBeGreaterThan(0)
  })
})

test('no more reads of a user are done at a time than may be', async () => {
  let running = 0
  let most = 0
  const read = async () => {
    most = Math.max(most, ++running)
    await new Promise(setImmediate)
    running--
  }
  await Promise.all(Array.from({ length: 200 }, () => app.reading.inTurn(ALICE, read)))
  expect(most).toBe(3)
})
