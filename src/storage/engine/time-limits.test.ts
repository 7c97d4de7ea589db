import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { pollUntil } from '../../../testing/poll-until.ts'
import { startPostgres, type TestPostgres } from '../../../testing/postgres.ts'
import type { Database } from './database.ts'
import { migrate } from './migrate.ts'
import { openDatabase } from './open-database.ts'

/** The lock of Kysely's migrator. */
const MIGRATION_LOCK = '3853314791062309107'

const limits = { statement: 600, lock: 300, idleTransaction: 1500 }
const timedOut: string[] = []
let postgres: TestPostgres
let url: string
let database: Database
beforeAll(async () => {
  postgres = await startPostgres()
  url = await postgres.createDatabase()
  database = await openDatabase({
    url,
    folder: '',
    poolSize: 2,
    cacheBytes: 1_000_000,
    timeLimits: limits,
    reportError: () => {},
    reportTimeout: (what) => timedOut.push(what),
  })
})
afterAll(async () => {
  await database?.close()
  await postgres?.stop()
})

/** Reads the settings of each connection in turn. */
const settings = () =>
  Promise.all(
    [1, 2].map(async () => {
      const { rows } = await sql<{ setting: string }>`select setting from pg_settings where name in
        ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout') order by name`.execute(
        database.sql,
      )
      return rows.map(({ setting }) => Number(setting))
    }),
  )

test('migrations wait for those of other processes without limit, and the limits hold again afterwards', async () => {
  const other = new pg.Client({ connectionString: url })
  await other.connect()
  await other.query(`select pg_advisory_lock(${MIGRATION_LOCK})`)
  const migrating = migrate(database)
  const isWaiting = `select 1 from pg_locks join pg_stat_activity using (pid)
    where not granted and locktype = 'advisory' and clock_timestamp() - query_start > interval '${limits.statement * 2} milliseconds'`
  await pollUntil('it waits longer than the limit', async () => (await other.query(isWaiting)).rowCount === 1)
  await other.query(`select pg_advisory_unlock(${MIGRATION_LOCK})`)
  await other.end()
  expect((await migrating).length).toBeGreaterThan(10)
  expect(timedOut).toEqual([])
  expect(await settings()).toEqual([
    [limits.idleTransaction, limits.lock, limits.statement],
    [limits.idleTransaction, limits.lock, limits.statement],
  ])
})

test('a statement that takes too long fails and gives its connection back', async () => {
  timedOut.length = 0
  const sleeping = Array.from({ length: 3 }, () => sql`select pg_sleep(60)`.execute(database.sql))
  const outcomes = await Promise.allSettled(sleeping)
  for (const outcome of outcomes) expect(outcome).toMatchObject({ status: 'rejected', reason: { code: '57014' } })
  expect(timedOut).toEqual(['statement', 'statement', 'statement'])
  await sql`select 1`.execute(database.sql)
})

test('a wait for a lock fails', async () => {
  timedOut.length = 0
  const held = Promise.withResolvers<void>()
  const holding = database.write(async (tx) => {
    await sql`lock table users`.execute(tx.sql)
    await held.promise
  })
  await pollUntil('the lock is held', async () => {
    const { rows } = await sql`select 1 from pg_locks where relation = 'users'::regclass and granted
      and mode = 'AccessExclusiveLock'`.execute(database.sql)
    return rows.length === 1
  })
  const waiting = sql`select * from users`.execute(database.sql).finally(() => held.resolve())
  await expect(waiting).rejects.toMatchObject({ code: '55P03' })
  await holding.catch(() => {})
  expect(timedOut).toContain('lock')
})

test('a transaction that stays idle fails, and nothing else', async () => {
  timedOut.length = 0
  const idle = database.write(async (tx) => {
    await sql`select 1`.execute(tx.sql)
    await pollUntil('it is ended', () => timedOut.length > 0)
    await sql`select 1`.execute(tx.sql)
  })
  await expect(idle).rejects.toThrow()
  expect(timedOut).toEqual(['idleTransaction'])
  await database.write((tx) => sql`select 1`.execute(tx.sql))
})
