import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RoomId, ServerName } from '../../../core/ids.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, PEOPLE } from '../../../testing/reading-room.ts'
import { type FindDescribedRoom, readSpaceHierarchy } from './space-hierarchy.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const idOf = (name: string | number) => `!${name}:y` as RoomId

/** Returns rooms that another server describes, with children by name; counts the requests. */
function remoteRooms(children: (roomId: RoomId) => RoomId[]) {
  const asked: RoomId[] = []
  const findDescribed: FindDescribedRoom = async ({ roomId }) => {
    asked.push(roomId)
    const events = children(roomId).map((child, place) => ({
      type: 'm.space.child',
      state_key: child,
      sender: ALICE,
      content: { via: ['y'], order: String(place).padStart(6, '0') },
      origin_server_ts: 0,
    }))
    const summary = { room_id: roomId, num_joined_members: 1, world_readable: true, guest_can_join: false }
    return {
      summary: summary as never,
      children: events,
      server: 'y' as ServerName,
      childSummaries: new Map(),
      bytes: 1,
    }
  }
  return { asked, findDescribed }
}

async function allPages(findDescribed: FindDescribedRoom, limit: number, beforePage = () => {}) {
  const pages: RoomId[][] = []
  let from: string | undefined
  do {
    beforePage()
    const command = { roomId: idOf('root'), userId: ALICE, suggestedOnly: false, limit, from }
    const { rooms, next_batch } = await readSpaceHierarchy(app, command, findDescribed)
    pages.push(rooms.map(({ room_id }) => room_id))
    from = next_batch
  } while (from !== undefined)
  return pages
}

const wide = (count: number) => (roomId: RoomId) =>
  roomId === idOf('root') ? Array.from({ length: count }, (_, place) => idOf(place)) : []
/** Each room has the next ones, and the previous, as children. */
const tangled = (roomId: RoomId) => {
  const place = Number(/\d+/.exec(roomId)?.[0] ?? 0)
  return place < 300 ? [place + 1, place + 2, 3 * place + 1].map(idOf).concat(idOf('root')) : [idOf(1)]
}

test.each([
  ['a wide space', wide(400)],
  ['a tangled space', tangled],
])('the pages of %s cost about as much as all of it at once', async (_, children) => {
  const whole = remoteRooms(children)
  const once = (await allPages(whole.findDescribed, 100)).flat()
  const paged = remoteRooms(children)
  const pages = await allPages(paged.findDescribed, 10)
  expect(pages.flat()).toEqual(once)
  expect(new Set(once).size).toBe(once.length)
  expect(paged.asked.length).toBeLessThanOrEqual(once.length + pages.length)
})

test('a process that has kept no walk comes to the same pages', async () => {
  const { findDescribed } = remoteRooms(tangled)
  const kept = await allPages(findDescribed, 30)
  expect(await allPages(findDescribed, 30, () => app.reading.spaceWalks.clear())).toEqual(kept)
})

test('a page that is asked for again is the same', async () => {
  const { findDescribed } = remoteRooms(wide(50))
  const command = { roomId: idOf('root'), userId: ALICE, suggestedOnly: false, limit: 10 }
  const { next_batch: from } = await readSpaceHierarchy(app, command, findDescribed)
  const second = await readSpaceHierarchy(app, { ...command, from }, findDescribed)
  expect(await readSpaceHierarchy(app, { ...command, from }, findDescribed)).toEqual(second)
})

test('a space without end ends', async () => {
  let made = 0
  const endless = remoteRooms(() => Array.from({ length: 20 }, () => idOf(`endless${++made}`)))
  const rooms = (await allPages(endless.findDescribed, 100)).flat()
  expect(rooms.length).toBeLessThanOrEqual(10_000)
  expect(rooms.length).toBeGreaterThan(1000)
})
