import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { RoomEventFilter } from '../../../core/filters/filter-schema.ts'
import { orderAfterGap } from '../../../core/rooms/timeline-gaps.ts'
import { createTestApp, type TestApp } from '../../../testing/create-test-app.ts'
import { ALICE, createReadingRoom, PEOPLE } from '../../../testing/reading-room.ts'
import { answerBudget } from '../answers/answer-budget.ts'
import { compileSyncFilter } from '../answers/sync-filter.ts'
import { syncTimeline } from './sync-timeline.ts'

let app: TestApp
beforeAll(async () => {
  app = await createTestApp({ users: PEOPLE })
})
afterAll(() => app.close())

const BEGINNING = -Number.MAX_SAFE_INTEGER

/**
 * Creates messages of which only the first, the one after the gap, and the last are notes; `isCut`: the second part
 * follows a gap.
 */
async function roomWithMany(count: number, isCut: boolean) {
  const room = await createReadingRoom(app)
  await room.message(ALICE, 'first', {}, { type: 'x.note' })
  for (let i = 0; i < count; i++) await room.message(ALICE, `a${i}`)
  const middle = await room.message(ALICE, 'middle', {}, { type: isCut ? 'm.room.message' : 'x.note' })
  for (let i = 0; i < count; i++) await room.message(ALICE, `b${i}`)
  const last = await room.message(ALICE, 'last', {}, { type: 'x.note' })
  if (isCut) {
    const moved = orderAfterGap(middle.event_order!) - middle.event_order!
    await sql`update events set event_order = -event_order where room_id = ${room.roomId} and event_order >= ${middle.event_order}`.execute(
      app.database.sql,
    )
    await sql`update events set event_order = -event_order + ${moved}::bigint where room_id = ${room.roomId} and event_order < 0`.execute(
      app.database.sql,
    )
    app.database.caches.events.clear()
    return { room, last: last.event_order! + moved }
  }
  return { room, last: last.event_order! }
}

const read = async (
  { room, last }: Awaited<ReturnType<typeof roomWithMany>>,
  timeline: RoomEventFilter,
  after = BEGINNING,
) => {
  const filter = compileSyncFilter({ room: { timeline } })
  const viewer = { userId: ALICE, ignored: new Set<string>(), filter, budget: answerBudget(app, { rooms: 1 }) }
  const window = { roomId: room.roomId, after, before: last + 1, newest: [] }
  const { events, limited } = await syncTimeline(app, viewer, window)
  return { bodies: events.map(({ pdu }) => pdu.content.body), limited }
}

const NOTES = { types: ['x.note'], limit: 10 }

test('events that a filter drops, however many, do not make a timeline limited', async () => {
  const many = await roomWithMany(200, false)
  expect(await read(many, NOTES)).toEqual({ bodies: ['first', 'middle', 'last'], limited: false })
  expect(await read(many, { ...NOTES, limit: 2 })).toEqual({ bodies: ['middle', 'last'], limited: true })
  expect(await read(many, { types: ['x.other'] })).toEqual({ bodies: [], limited: false })
})

test('a gap does, also if the filter leaves out the event after it', async () => {
  const cut = await roomWithMany(30, true)
  expect(await read(cut, NOTES)).toEqual({ bodies: ['last'], limited: true })
  expect(await read(cut, NOTES, cut.last - 3)).toEqual({ bodies: ['last'], limited: false })
  expect((await read(cut, { limit: 100 })).bodies).toHaveLength(32)
})
