import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database, Db } from './database.ts'

let database: Database
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())
beforeEach(async () => {
  await sql`drop table if exists kept`.execute(database.sql)
  await sql`create table kept (number int)`.execute(database.sql)
  await sql`insert into kept values (1)`.execute(database.sql)
  await select(database)
})

const select = async (db: Db) => (await sql`select * from kept where number = ${1}`.execute(db.sql)).rows
/** Changes the schema as another process with a newer Hearth does. */
const migrate = (column: string) => sql`alter table kept add ${sql.ref(column)} int`.execute(database.sql)

test('a statement goes on when it gives other columns than when it was prepared, as often as that happens', async () => {
  for (const [column, row] of [
    ['second', { number: 1, second: null }],
    ['third', { number: 1, second: null, third: null }],
  ] as const) {
    await migrate(column)
    expect(await select(database)).toEqual([row])
  }
})

test('so does a transaction, which is tried again', async () => {
  await migrate('second')
  let tries = 0
  const rows = await database.write(async (tx) => {
    tries++
    return select(tx)
  })
  expect([rows, tries]).toEqual([[{ number: 1, second: null }], 2])
})
