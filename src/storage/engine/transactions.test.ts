import { PGlite } from '@electric-sql/pglite'
import { sql } from 'kysely'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { startPostgres, type TestPostgres } from '../../../testing/postgres.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database, Tx } from './database.ts'
import { openDatabase } from './open-database.ts'
import { appendToStream } from './stream-append.ts'
import { allOf } from './transactions.ts'

let postgres: TestPostgres
const databases = new Map<string, Database>()
beforeAll(async () => {
  postgres = await startPostgres()
  const options = { folder: '', poolSize: 2, cacheBytes: 1_000_000, reportError: () => {} }
  databases.set('postgresql', await openDatabase({ url: await postgres.createDatabase(), ...options }))
  databases.set('pglite', await createTestDatabase())
})
afterAll(async () => {
  for (const database of databases.values()) await database.close()
  await postgres.stop()
})

const add = (tx: Tx, number: number) => sql`insert into kept values (${number}::int)`.execute(tx.sql)
const divide = (tx: Tx, by: number) => sql`select 6 / ${by}::int`.execute(tx.sql)

describe.each(['postgresql', 'pglite'])('on %s', (engine) => {
  let database: Database
  const kept = async () =>
    (await sql<{ number: number }>`select number from kept order by 1`.execute(database.sql)).rows.map(
      (row) => row.number,
    )
  beforeEach(async () => {
    database = databases.get(engine)!
    await sql`drop table if exists kept`.execute(database.sql)
    await sql`create table kept (number int unique deferrable initially deferred)`.execute(database.sql)
  })

  test('work that refers to a row that is gone is done again, so that it can find that out', async () => {
    await sql`create table parents (id int primary key)`.execute(database.sql)
    await sql`create table children (parent int references parents)`.execute(database.sql)
    let attempts = 0
    const found = await database.write(async (tx) => {
      if (++attempts === 1) await sql`insert into children values (1)`.execute(tx.sql)
      return attempts
    })
    await sql`drop table children, parents`.execute(database.sql)
    expect(found).toBe(2)
  })

  test('statements that are sent together run in their order', async () => {
    const counts = await database.write((tx) => {
      const count = () =>
        sql<{ count: number }>`select count(*)::int as count from kept where number < ${9}`.execute(tx.sql)
      return allOf([count(), add(tx, 1), count(), add(tx, 2), count()])
    })
    expect(counts.flatMap(({ rows }) => (rows as { count?: number }[]).map((row) => row.count))).toEqual([0, 1, 2])
  })

  test('statements sent with the commit are stored with the rest, or nothing is', async () => {
    await database.write(async (tx) => {
      tx.sendWithCommit(() => allOf([add(tx, 2), add(tx, 3)]))
      await add(tx, 1)
    })
    expect(await kept()).toEqual([1, 2, 3])
    const failing = database.write(async (tx) => {
      tx.sendWithCommit(() => allOf([add(tx, 4), divide(tx, 0), add(tx, 5)]))
      await add(tx, 6)
    })
    await expect(failing).rejects.toThrow('division by zero')
    expect(await kept()).toEqual([1, 2, 3])
  })

  test('a statement sent with the commit that cannot be made takes the others with it', async () => {
    const broken = async () => {
      throw new Error('no statement')
    }
    const failing = database.write(async (tx) => {
      tx.sendWithCommit(() => allOf([add(tx, 1), broken()]))
      await add(tx, 2)
    })
    await expect(failing).rejects.toThrow('no statement')
    expect(await kept()).toEqual([])
    await database.write((tx) => add(tx, 3))
    expect(await kept()).toEqual([3])
  })

  test('a statement that starts after the commit was sent fails, and runs in no other transaction', async () => {
    const late = database.write(async (tx) => {
      tx.sendWithCommit(async () => {
        await add(tx, 1)
        await add(tx, 2)
      })
    })
    await expect(late).rejects.toThrow('started too late')
    expect(await kept()).toEqual([1])
  })

  test('of several statements the first that failed says why, and nothing is stored', async () => {
    const failing = database.write((tx) => allOf([add(tx, 1), divide(tx, 0), add(tx, 2), divide(tx, 0)]))
    await expect(failing).rejects.toMatchObject({ code: '22012' })
    await database.write((tx) => add(tx, 3))
    expect(await kept()).toEqual([3])
  })

  test('a transaction that the commit refuses fails', async () => {
    const hook = vi.fn()
    const twice = database.write(async (tx) => {
      tx.afterCommit(hook)
      await allOf([add(tx, 1), add(tx, 1)])
    })
    await expect(twice).rejects.toMatchObject({ code: '23505' })
    expect(hook).not.toHaveBeenCalled()
    expect(await kept()).toEqual([])
  })

  test('a failure that the work swallows is one all the same', async () => {
    const hook = vi.fn()
    const swallowing = database.write(async (tx) => {
      tx.afterCommit(hook)
      await add(tx, 1)
      await divide(tx, 0).catch(() => {})
    })
    await expect(swallowing).rejects.toThrow()
    expect(hook).not.toHaveBeenCalled()
    expect(await kept()).toEqual([])
  })
})

test('only what is written lazily does not wait for the disk', async () => {
  const setting = (tx: Tx) => sql<{ synchronous_commit: string }>`show synchronous_commit`.execute(tx.sql)
  for (const database of databases.values()) {
    const written = [await database.writeLazily(setting), await database.write(setting)]
    expect(written.map(({ rows }) => rows[0]!.synchronous_commit)).toEqual(['off', 'on'])
  }
})

test('the begin goes with the first statements, and the commit with the last', async () => {
  const database = databases.get('pglite')!
  await database.write(async (tx) => allOf([divide(tx, 1), divide(tx, 2)]))
  const exchanges = vi.spyOn(PGlite.prototype, 'execProtocolRawStream')
  await database.write(async (tx) => {
    await allOf([divide(tx, 1), divide(tx, 2), divide(tx, 3)])
    await divide(tx, 4)
    tx.sendWithCommit(() => allOf([divide(tx, 5), divide(tx, 6)]))
    appendToStream(tx, { kind: 'profile' })
  })
  expect(exchanges).toHaveBeenCalledTimes(3)
  exchanges.mockRestore()
})
