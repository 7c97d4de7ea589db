import { sql } from 'kysely'
import type { Database, Db } from '../engine/database.ts'

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
  for (;;) {
    // Few, because a row may have a megabyte, as account data has.
    const { rows } = await sql`fetch 64 from snapshot_rows`.execute(db.sql)
    if (rows.length === 0) break
    yield (rows as { row: string }[]).map(({ row }) => row)
  }
  await sql`close snapshot_rows`.execute(db.sql)
}
