import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../../testing/postgres.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database } from './database.ts'
import { openDatabase } from './open-database.ts'

let postgres: TestPostgres
let databases: Database[]
beforeAll(async () => {
  postgres = await startPostgres()
  const url = await postgres.createDatabase()
  const options = { url, folder: '', poolSize: 1, cacheBytes: 1_000_000, reportError: () => {} }
  databases = [await openDatabase(options), await createTestDatabase()]
})
afterAll(async () => {
  await Promise.all(databases.map((database) => database.close()))
  await postgres.stop()
})

test('both databases give bigints, and lists of them, as numbers', async () => {
  for (const { sql: kysely } of databases) {
    const { rows } =
      await sql`select 4503599627370497::bigint as one, array[1, 2]::bigint[] as list, array[]::bigint[] as none,
      null::bigint[] as absent`.execute(kysely)
    expect(rows).toEqual([{ one: 4503599627370497, list: [1, 2], none: [], absent: null }])
  }
})
