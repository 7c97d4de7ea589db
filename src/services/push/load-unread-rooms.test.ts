import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestApp, type TestApp } from '../../testing/create-test-app.ts'
import { ALICE, BOB, createReadingRoom, PEOPLE } from '../../testing/reading-room.ts'
import { loadUnreadRooms, MOST_BYTES } from './load-unread-rooms.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const LARGE = 60_000

test('more events than are judged at once are all counted, in the order of each room', async () => {
  const rooms = [await createReadingRoom(app), await createReadingRoom(app)]
  const each = Math.ceil((0.6 * MOST_BYTES) / LARGE)
  for (const room of rooms) {
    await room.member(BOB, 'join')
    for (let place = 0; place < each; place++) await room.message(ALICE, 'x'.repeat(LARGE))
  }
  const ids = rooms.map(({ roomId }) => roomId)
  const loaded = await loadUnreadRooms(app, BOB, ids)
  for (const roomId of ids) {
    const { unread, upTo, unstored } = loaded.get(roomId)!
    const orders = unread.map(({ event_order }) => event_order)
    expect(orders).toHaveLength(each)
    expect(orders).toEqual(orders.toSorted((a, b) => a - b))
    expect(upTo).toBe(orders.at(-1))
    expect(unstored.judged).toBe(each)
  }
})
