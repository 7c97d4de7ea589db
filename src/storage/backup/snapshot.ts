import { sql } from 'kysely'
import type { Database, Db } from '../engine/database.ts'

/** Characters. */
const LARGE_ROW = 16_384

/**
 * Runs `read` on one state of the whole database, while others write: a transaction that sees what was committed when
 * it began. It takes no locks that a writer waits for.
 */
export async function withSnapshot<Result>(database: Database, read: (db: Db) => Promise<Result>): Promise<Result> {
  const transaction = database.sql.transaction().setIsolationLevel('repeatable read').setAccessMode('read only')
  return transaction.execute((connection) => read({ ...database, sql: connection }))
}

/** Returns the rows of a table as JSON objects, some at a time; `db` is in a transaction. */
export async function* readTable(db: Db, table: string): AsyncGenerator<string[]> {
  await sql`declare snapshot_rows no scroll cursor for
    select to_json(kept)::text as row from ${sql.table(table)} as kept`.execute(db.sql)
  yield* fetchRows(db)
}

/** Returns the rows of the cursor `snapshot_rows`, texts in its column `row`, some at a time; then closes it. */
export async function* fetchRows(db: Db): AsyncGenerator<string[]> {
  for (let areLarge = true; ; ) {
    // Few, because a row may have a megabyte, as account data has; more after small ones.
    const rows: string[] = areLarge ? await fetchFew(db) : await fetchMany(db)
    if (rows.length === 0) break
    areLarge = rows.reduce((sum, row) => sum + row.length, 0) > rows.length * LARGE_ROW
    yield rows
  }
  await sql`close snapshot_rows`.execute(db.sql)
}

async function fetchFew(db: Db): Promise<string[]> {
  const { rows } = await sql`fetch 4 from snapshot_rows`.execute(db.sql)
  return (rows as { row: string }[]).map(({ row }) => row)
}

async function fetchMany(db: Db): Promise<string[]> {
  const { rows } = await sql`fetch 64 from snapshot_rows`.execute(db.sql)
  return (rows as { row: string }[]).map(({ row }) => row)
}
