import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database } from '../engine/database.ts'
import { readTable, withSnapshot } from './snapshot.ts'

let database: Database
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())

test('rows come a bounded number at a time, also large ones after many small ones', async () => {
  const texts = sql`select 'small' || n, 0 from generate_series(1, 5000) as n
    union all select (select string_agg(md5(n || '-' || part), '') from generate_series(1, 1000) as part), 0
      from generate_series(1, 200) as n`
  await sql`alter table registration_nonces drop constraint registration_nonces_pkey`.execute(database.sql)
  await sql`insert into registration_nonces (nonce, expires_ts) ${texts}`.execute(database.sql)
  let rows = 0
  let largest = 0
  await withSnapshot(database, async (db) => {
    for await (const chunk of readTable(db, 'registration_nonces')) {
      rows += chunk.length
      largest = Math.max(largest, chunk.join('\n').length)
    }
    for await (const chunk of readTable(db, 'registration_nonces')) rows += chunk.length
  })
  expect(rows).toBe(2 * 5200)
  expect(largest).toBeLessThan(5 * 1024 * 1024)
})
