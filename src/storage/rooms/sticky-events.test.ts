import { sql } from 'kysely'
import { afterAll, expect, test } from 'vitest'
import type { UserId } from '../../core/ids.ts'
import { appendEvent } from '../../services/rooms/timeline/append-event.ts'
import { createTestApp } from '../../testing/create-test-app.ts'
import { ALICE, createReadingRoom, PEOPLE } from '../../testing/reading-room.ts'
import { loadStickyPlaces, MOST_STICKY } from './sticky-events.ts'

const FLOOD = '@flood:y' as UserId

const app = await createTestApp({ users: PEOPLE })
afterAll(() => app.close())
const { roomId } = await createReadingRoom(app)

async function stick(sticky_ms: number): Promise<number> {
  const { event_nid } = await app.rooms.run(roomId, (room) =>
    appendEvent(app, room, { type: 'm.test', sender: ALICE, content: {}, sticky_ms }),
  )
  return event_nid
}

const rows = async (sender: UserId) =>
  (await app.database.sql.selectFrom('sticky_events').selectAll().where('sender', '=', sender).execute()).length

async function flood(expires: number): Promise<void> {
  await sql`insert into sticky_events (event_nid, room_id, sender, is_ours, soft_failed, expires_ts)
    select 1000000 + number, ${roomId}, ${FLOOD}, false, false, ${expires}::bigint
    from generate_series(1, ${MOST_STICKY}::int) as numbers(number)`.execute(app.database.sql)
}

test('a user who floods a room with sticky events loses own ones, and expired ones are deleted', async () => {
  const first = await stick(600_000)
  await flood(app.clock.now() + 60_000)
  const second = await stick(600_000)
  expect(await rows(ALICE)).toBe(2)
  expect(await rows(FLOOD)).toBe(MOST_STICKY - 2)
  app.clock.advance(60_000)
  await stick(0)
  expect(await rows(FLOOD)).toBe(MOST_STICKY - 2)
  const third = await stick(1)
  expect(await rows(FLOOD)).toBe(0)
  const span = { roomIds: [roomId], after: 0, to: await app.stream.refresh(), limit: 10 }
  const found = async () =>
    (await loadStickyPlaces(app.database, { ...span, now: app.clock.now() })).map((each) => each.event_nid)
  expect(await found()).toEqual([first, second, third])
  app.clock.advance(1)
  expect(await found()).toEqual([first, second])
})
