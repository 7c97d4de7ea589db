import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { EventId } from '../../../core/ids.ts'
import { createTestDatabase } from '../../../testing/test-database.ts'
import type { Database } from '../../engine/database.ts'
import { loadEventsWithin } from './event-sizes.ts'
import { forgetEvent, loadEvents, loadEventsById } from './events.ts'

const ids = (...names: string[]) => names as EventId[]

let database: Database
beforeAll(async () => {
  database = await createTestDatabase()
  const json = JSON.stringify({ type: 'm.room.message', content: { body: 'x' }, auth_events: [], prev_events: [] })
  for (const nid of [1, 2]) {
    await sql`insert into events (event_nid, event_id, room_id, event_order, type, sender, origin_server_ts, depth, json)
      values (${nid}, ${`$${nid}`}, '!r:x', ${nid}, 'm.room.message', '@a:x', 1, 1, ${json})`.execute(database.sql)
  }
})
beforeEach(() => database.caches.events.clear())
afterAll(() => database.close())

test.each([
  ['by nid', () => loadEvents(database, [1])],
  ['by id', () => loadEventsById(database, ids('$1'))],
])('what was being read %s while an event was redacted is not remembered', async (_, load) => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const writing = database.write(() => gate)
  await new Promise((resolve) => setImmediate(resolve))
  const loading = load()
  await new Promise((resolve) => setImmediate(resolve))
  forgetEvent(database, '$1')
  open()
  await Promise.all([loading, writing])
  expect(database.caches.events.has(1)).toBe(false)
  await load()
  expect(database.caches.events.has(1)).toBe(true)
})

test('of events for which there is no room together the first ones are loaded', async () => {
  const size = [...(await loadEvents(database, [1])).values()][0]!.size
  expect([...(await loadEventsWithin(database, [2, 1], 2 * size)).keys()].sort()).toEqual([1, 2])
  expect([...(await loadEventsWithin(database, [2, 1], 2 * size - 1)).keys()]).toEqual([2])
  database.caches.events.clear()
  expect([...(await loadEventsWithin(database, [2, 1, 3], 2 * size - 1)).keys()]).toEqual([2])
})

test('unknown events are left out; by id, the order is as asked', async () => {
  expect([...(await loadEvents(database, [2, 3])).keys()]).toEqual([2])
  const events = await loadEventsById(database, ids('$2', '$3', '$1'))
  expect(events.map((event) => event.event_id)).toEqual(['$2', '$1'])
})
