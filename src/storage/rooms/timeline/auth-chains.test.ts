import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import type { EventId } from '../../../core/ids.ts'
import { createTestDatabase } from '../../../testing/test-database.ts'
import type { Database } from '../../engine/database.ts'
import type { StoredEvent } from '../../schema/stored-event.ts'
import { loadWithAuthChains } from './auth-chains.ts'
import { loadEventsById } from './events.ts'

const LENGTH = 1000
const id = (place: number) => `$${place}` as EventId

let database: Database
let queries = 0
beforeAll(async () => {
  const made = await createTestDatabase()
  const counting = {
    transformQuery: ({ node }: { node: never }) => {
      queries++
      return node
    },
    transformResult: async ({ result }: { result: never }) => result,
  }
  database = { ...made, sql: made.sql.withPlugin(counting as never) }
  // Each event references the previous and the first one; every third in the form of room versions 1 and 2.
  for (let place = 0; place < LENGTH; place++) {
    const cited = place === 0 ? [] : [id(0), id(place - 1)]
    const auth_events = place % 3 === 0 ? cited.map((each) => [each, { sha256: '' }]) : cited
    const json = JSON.stringify({ type: 'm.room.member', content: {}, auth_events, prev_events: [] })
    await sql`insert into events (event_nid, event_id, room_id, type, sender, origin_server_ts, depth, json)
      values (${place + 1}, ${id(place)}, '!r:x', 'm.room.member', '@a:x', 1, 1, ${json})`.execute(made.sql)
  }
})
beforeEach(() => database.caches.events.clear())
afterAll(() => database.close())

async function load(ids: readonly EventId[], own?: ReadonlyMap<EventId, StoredEvent>) {
  const into = new Map<EventId, StoredEvent>()
  queries = 0
  await loadWithAuthChains(database, ids, into, own)
  return { into, queries }
}

test('a long chain is all there, after few queries', async () => {
  const { into, queries } = await load([id(LENGTH - 1)])
  expect(into.size).toBe(LENGTH)
  expect(queries).toBeLessThanOrEqual(5)
  expect((await load([id(LENGTH - 1)])).queries).toBe(0)
})

test('all requested events are found, however many, and unknown ones are left out', async () => {
  const wanted = Array.from({ length: LENGTH / 2 }, (_, i) => id(2 * i))
  const { into } = await load([...wanted, id(LENGTH + 1)])
  expect(wanted.filter((each) => !into.has(each))).toEqual([])
  expect(into.has(id(LENGTH + 1))).toBe(false)
})

test('cached events are not read again', async () => {
  await loadEventsById(
    database,
    Array.from({ length: LENGTH - 1 }, (_, place) => id(place)),
  )
  const { into, queries } = await load([id(LENGTH - 1)])
  expect([into.size, queries]).toEqual([LENGTH, 1])
})

test('a transaction’s own events take the place of those that are stored', async () => {
  const [stored] = await loadEventsById(database, [id(5)])
  const own = { ...stored!, auth_event_ids: [] }
  const { into } = await load([id(7)], new Map([[id(5), own]]))
  expect([...into.keys()].sort()).toEqual(['$0', '$5', '$6', '$7'])
  expect(into.get(id(5))).toBe(own)
})
