import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database } from './database.ts'

let database: Database
beforeAll(async () => {
  database = await createTestDatabase()
})
afterAll(() => database.close())

const select = async (number: number) =>
  (await sql<{ number: number }>`select ${number}::int as number`.execute(database.sql)).rows[0]!.number

test('timers and sockets have their turn while 500 statements wait', async () => {
  let answered = 0
  const numbers = Array.from({ length: 500 }, (_, number) => number)
  const all = Promise.all(numbers.map((number) => select(number).finally(() => answered++)))
  await new Promise((resolve) => setTimeout(resolve, 1))
  expect(answered).toBeLessThan(250)
  expect(await all).toEqual(numbers)
})

test('waiting callers get the database in the order of their requests', async () => {
  const order: string[] = []
  const transaction = (name: string) =>
    database.sql.transaction().execute(async (tx) => {
      for (const part of [1, 2]) {
        await sql`select ${part}::int`.execute(tx)
        order.push(`${name}${part}`)
      }
    })
  await Promise.all([transaction('a'), select(0).then(() => order.push('b')), transaction('c')])
  expect(order).toEqual(['a1', 'a2', 'b', 'c1', 'c2'])
})

test('a statement is planned once', async () => {
  for (const number of [1, 2, 3]) await select(number)
  const { rows } = await sql<{ generic: number; custom: number }>`select generic_plans::int as generic,
    custom_plans::int as custom from pg_prepared_statements where statement = 'select $1::int as number'`.execute(
    database.sql,
  )
  expect(rows).toEqual([{ generic: expect.any(Number), custom: 0 }])
  expect(rows[0]!.generic).toBeGreaterThanOrEqual(3)
})

test('after a statement that fails the next one goes on, and the transaction around it is undone', async () => {
  const divide = (by: number) => sql<{ result: number }>`select 6 / ${by}::int as result`
  await sql`create table kept (number int)`.execute(database.sql)
  const failing = database.sql.transaction().execute(async (tx) => {
    await sql`insert into kept values (${1})`.execute(tx)
    await divide(0).execute(tx)
  })
  await expect(failing).rejects.toMatchObject({ code: '22012' })
  expect((await divide(2).execute(database.sql)).rows).toEqual([{ result: 3 }])
  expect((await sql`select * from kept where number = ${1}`.execute(database.sql)).rows).toEqual([])
})

test('large parameters and answers arrive whole', async () => {
  const text = 'ü€😀'.repeat(500_000)
  const { rows } = await sql`select ${text}::text as text from generate_series(1, ${2}::int)`.execute(database.sql)
  expect(rows.map((row) => (row as { text: string }).text === text)).toEqual([true, true])
})

test('bytes and values without a type of their own come as from PostgreSQL', async () => {
  const { rows } =
    await sql`select ${Buffer.from([0, 255])}::bytea as bytes, ${JSON.stringify({ a: [1] })}::json as json,
    ${null}::text as nothing, ${true}::boolean as yes, ${['a,"b', null]}::text[] as list`.execute(database.sql)
  expect(rows).toEqual([
    { bytes: Buffer.from([0, 255]), json: { a: [1] }, nothing: null, yes: true, list: ['a,"b', null] },
  ])
})
