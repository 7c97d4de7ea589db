import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database } from '../engine/database.ts'
import { enqueuePushes, leaseDuePushers, loadPushQueue, releasePusher } from './push-queue.ts'

let database: Database
beforeAll(async () => {
  database = await createTestDatabase()
  for (const user of ['@a:x', '@b:x']) {
    await sql`insert into users (user_id, created_ts) values (${user}, 1)`.execute(database.sql)
    for (let place = 0; place < 3; place++) {
      await sql`insert into pushers (user_id, app_id, pushkey, kind, app_display_name, device_display_name, lang, data, pushkey_ts, since_position)
        values (${user}, 'app', ${`key${place}`}, 'http', 'App', 'Phone', 'en', '{}', 1, 0)`.execute(database.sql)
    }
  }
})
afterAll(() => database.close())

const push = (pusher_nid: number, event_nid: number) => ({ pusher_nid, event_nid, tweaks: '{}', highlight: false })
const due = { now: 10, until: 20, limit: 4, except: [] }
const lease = (wanted: object) =>
  database.write(async (tx) =>
    (await leaseDuePushers(tx, { ...due, ofUser: 2, ...wanted })).map(({ pusher_nid }) => pusher_nid).sort(),
  )

test('of the notifications queued for a pusher, the newest are kept', async () => {
  const events = Array.from({ length: 1200 }, (_, place) => push(1, place + 1))
  await database.write((tx) => enqueuePushes(tx, events.slice(0, 700), 1))
  await database.write((tx) => enqueuePushes(tx, [...events.slice(700), push(2, 1)], 2))
  const waiting = await loadPushQueue(database, { pusher_nid: 1 } as never, 2000)
  expect(waiting.map(({ event_nid }) => event_nid)).toEqual(events.slice(200).map(({ event_nid }) => event_nid))
  expect(await loadPushQueue(database, { pusher_nid: 2 } as never, 2000)).toHaveLength(1)
})

test('each user has a few pushers sent to at a time, those first that wait longest', async () => {
  await database.write((tx) =>
    enqueuePushes(
      tx,
      [3, 4, 5, 6].map((pusher) => push(pusher, 1)),
      3,
    ),
  )
  expect(await lease({ except: ['@a:x'] })).toEqual([4, 5])
  expect(await lease({})).toEqual([1, 2, 6])
  await database.write(async (tx) => {
    for (const pusher of [1, 2]) await releasePusher(tx, pusher, { retryAt: 10 })
  })
  expect(await lease({ limit: 1 })).toEqual([3])
  expect(await lease({})).toEqual([1, 2])
})
