import { sql } from 'kysely'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startPostgres, type TestPostgres } from '../../../testing/postgres.ts'
import type { RoomId } from '../../core/ids.ts'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database } from './database.ts'
import { migrate } from './migrate.ts'
import { openDatabase } from './open-database.ts'
import { appendToStream } from './stream-append.ts'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

function open(url: string): Promise<Database> {
  return openDatabase({
    url,
    folder: '',
    poolSize: 16,
    cacheBytes: 1_000_000,
    reportError: (error) => {
      throw error
    },
  })
}

const WRITERS = 16
const WRITES = 60
const ROLLBACK = new Error('rolled back on purpose')

/** Runs transactions of different lengths, some of which roll back, and a reader that follows by position. */
async function race(writer: Database, reader: Database): Promise<{ seen: string[]; written: string[] }> {
  const written: string[] = []
  let writing = true
  const writers = Array.from({ length: WRITERS }, async (_, number) => {
    for (let i = 0; i < WRITES; i++) {
      const detail = `${number}:${i}`
      await writer
        .write(async (tx) => {
          if (i % 3 === 0) await sql`select pg_sleep(${(number % 4) / 1000})`.execute(tx.sql)
          appendToStream(tx, { kind: 'event', room_id: '!r:x' as RoomId, detail })
          appendToStream(tx, { kind: 'event', room_id: '!r:x' as RoomId, detail: `${detail}b` })
          if (i % 7 === 6) throw ROLLBACK
        })
        .then(() => written.push(detail, `${detail}b`))
        .catch((error) => {
          if (error !== ROLLBACK) throw error
        })
    }
  })
  const seen: string[] = []
  let position = 0
  const read = async () => {
    const rows = await reader.sql
      .selectFrom('stream')
      .selectAll()
      .where('stream_position', '>', position)
      .orderBy('stream_position')
      .execute()
    for (const row of rows) seen.push(row.detail!)
    position = rows.at(-1)?.stream_position ?? position
  }
  const reading = (async () => {
    while (writing) await read()
  })()
  await Promise.all(writers)
  writing = false
  await reading
  await read()
  return { seen, written }
}

test('PostgreSQL: a reader that follows 16 writers by position misses no row and sees none twice', async () => {
  const url = await postgres.createDatabase()
  const [writer, reader] = [await open(url), await open(url)]
  await migrate(writer)
  const { seen, written } = await race(writer, reader)
  expect(new Set(seen).size).toBe(seen.length)
  expect([...seen].sort()).toEqual([...written].sort())
  await Promise.all([writer.close(), reader.close()])
})

test('PGlite: the same', async () => {
  const database = await createTestDatabase()
  const { seen, written } = await race(database, database)
  expect([...seen].sort()).toEqual([...written].sort())
  await database.close()
})

test('processes that start at once migrate once', async () => {
  const url = await postgres.createDatabase()
  const databases = await Promise.all([1, 2, 3, 4].map(() => open(url)))
  const ran = await Promise.all(databases.map(migrate))
  expect(ran.filter((names) => names.length > 0)).toHaveLength(1)
  await Promise.all(databases.map((database) => database.close()))
})

test('positions of one transaction follow each other, and a commit tells its last one', async () => {
  const database = await createTestDatabase()
  const told: unknown[] = []
  database.onCommit(({ lastPosition, rows }) => told.push([lastPosition, rows.length]))
  await database.write(async (tx) => {
    appendToStream(tx, { kind: 'typing' })
    appendToStream(tx, { kind: 'receipt' })
  })
  await database.write(async () => {})
  const rows = await database.sql.selectFrom('stream').selectAll().orderBy('stream_position').execute()
  expect(rows.map((row) => [row.stream_position, row.kind])).toEqual([
    [1, 'typing'],
    [2, 'receipt'],
  ])
  expect(told).toEqual([[2, 2]])
  await database.close()
})
