import { sql } from 'kysely'
import type { Database, Db } from '../engine/database.ts'
import { countPages } from './catalog.ts'

/** Bytes that a query of rows should return: it reads more or fewer pages accordingly. */
const CHUNK_BYTES = 2 * 1024 * 1024
const MAX_PAGES = 1024

/**
 * Runs `read` on one state of the whole database, while others write: a transaction that sees what was committed when
 * it began. It takes no locks that a writer waits for.
 */
export async function withSnapshot<Result>(database: Database, read: (db: Db) => Promise<Result>): Promise<Result> {
  const transaction = database.sql.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
  return transaction.execute((connection) => read({ ...database, sql: connection }))
}

/** Returns the rows of a table as JSON objects, many at a time, in the order in which they are stored. */
export async function* readTable(db: Db, table: string): AsyncGenerator<string[]> {
  const end = await countPages(db, table)
  for (let page = 0, step = 16; page < end; ) {
    const next = Math.min(page + step, end)
    const { rows } = await sql<{ row: string }>`select to_json(kept)::text as row from ${sql.table(table)} as kept
      where ctid >= ${`(${page},0)`}::tid and ctid < ${`(${next},0)`}::tid`.execute(db.sql)
    if (rows.length > 0) yield rows.map(({ row }) => row)
    const bytes = rows.reduce((sum, { row }) => sum + row.length, 1)
    step = Math.max(1, Math.min(Math.floor((step * CHUNK_BYTES) / bytes), 4 * step, MAX_PAGES))
    page = next
  }
}
