import { sql } from 'kysely'
import type { Database } from './database.ts'

/**
 * Runs `work` while no other process runs work under this name; undefined if one does. The lock ends with the process.
 * Takes a connection of the pool in the meantime. The embedded database, which has one process and connection, has no
 * such lock.
 */
export async function underLock<Result>(
  database: Database,
  name: string,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  if (database.engine === 'pglite') return work()
  return database.sql.connection().execute(async (connection) => {
    const { rows } = await sql<{ locked: boolean }>`
      select pg_try_advisory_lock(hashtextextended(${name}, 0)) as locked`.execute(connection)
    if (!rows[0]!.locked) return undefined
    try {
      return await work()
    } finally {
      await sql`select pg_advisory_unlock(hashtextextended(${name}, 0))`.execute(connection)
    }
  })
}
