import { sql } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { createTestDatabase } from '../../testing/test-database.ts'
import type { Database } from './database.ts'
import { IncompatibleDatabaseError, migrate, pendingMigrations } from './migrate.ts'

let database: Database
beforeEach(async () => {
  database = await createTestDatabase()
})
afterEach(() => database.close())

/** Names and times of the applied migrations. */
async function history(): Promise<unknown[]> {
  return (await sql`select * from kysely_migration order by name`.execute(database.sql)).rows
}

async function rewriteHistory(statements: string): Promise<void> {
  await sql.raw(statements).execute(database.sql)
}

test('a migrated database has no pending migrations, and migrating it again runs none', async () => {
  expect(await pendingMigrations(database)).toEqual([])
  expect(await migrate(database)).toEqual([])
})

test.each([
  [
    'an unreleased version made',
    `delete from kysely_migration;
     insert into kysely_migration values ('0001_rooms_and_streams', now()), ('0003_media', now())`,
    'before version 0.1, which cannot be upgraded. Set data_dir',
  ],
  [
    'a newer version upgraded',
    "insert into kysely_migration values ('9999_from_the_future', now())",
    'does not have the migration 9999_from_the_future. Run the newer version',
  ],
])('a database that %s is refused with advice, and stays as it is', async (_, change, advice) => {
  await rewriteHistory(change)
  const before = await history()
  for (const attempt of [migrate, pendingMigrations]) {
    const error = await attempt(database).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(IncompatibleDatabaseError)
    expect((error as Error).message).toContain(advice)
  }
  expect(await history()).toEqual(before)
})
