import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { DEFAULT_MIGRATION_TABLE, Migrator } from 'kysely/migration'
import type { Db } from './database.ts'

/** The folder with the migrations: docs/adding.md says how to add one. */
const MIGRATIONS_FOLDER = join(import.meta.dirname, '..', '..', '..', 'migrations')

/** The database has an incompatible migration history. The message says what to do. */
export class IncompatibleDatabaseError extends Error {
  override name = 'IncompatibleDatabaseError'
}

/**
 * Applies pending migrations and returns their names. Of several processes that call it at the same time, one works and
 * the others wait. Throws if a migration fails, which rolls all of them back, and `IncompatibleDatabaseError` if the
 * database is newer than this Hearth, or older than 0.1.
 */
export async function migrate(db: Db): Promise<string[]> {
  const { error, results } = await withoutTimeLimits(db, (connection) => migratorOf(connection).migrateToLatest())
  if (error) {
    await requireKnownHistory(db)
    throw error
  }
  return (results ?? []).map((result) => result.migrationName)
}

/** Creating an index of a large table takes time, and so does waiting for the migration of another process. */
function withoutTimeLimits<Result>(db: Db, work: (connection: Db['sql']) => Promise<Result>): Promise<Result> {
  return db.sql.connection().execute(async (connection) => {
    const { rows } = await sql<{ name: string; setting: string }>`select name, setting from pg_settings
      where name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout')`.execute(connection)
    const set = (name: string, value: string) => sql`select set_config(${name}, ${value}, false)`.execute(connection)
    for (const { name } of rows) await set(name, '0')
    try {
      return await work(connection)
    } finally {
      for (const { name, setting } of rows) await set(name, setting)
    }
  })
}

/** Returns the names of pending migrations. Throws `IncompatibleDatabaseError` as `migrate` does. */
export async function pendingMigrations(db: Db): Promise<string[]> {
  await requireKnownHistory(db)
  const all = await migratorOf(db.sql).getMigrations()
  return all.filter((migration) => !migration.executedAt).map((migration) => migration.name)
}

/** Throws if the database has migrations that this Hearth does not know. */
async function requireKnownHistory(db: Db): Promise<void> {
  const known = migrationFiles().map(nameOf)
  const executed = await loadHistory(db)
  const unknown = executed.find((name) => !known.includes(name))
  if (unknown === undefined) return
  if (!executed.includes(known[0]!)) {
    throw new IncompatibleDatabaseError(
      'The database was made by a Hearth from before version 0.1, which cannot be upgraded. ' +
        'Set data_dir to a new folder, and database.url, if it is set, to a new database.',
    )
  }
  throw new IncompatibleDatabaseError(
    `The database was upgraded by a newer Hearth: this version does not have the migration ${unknown}. ` +
      'Run the newer version, or restore the backup from before the upgrade.',
  )
}

/** Returns the names of applied migrations, in order. */
export async function loadHistory({ sql: kysely }: Db): Promise<string[]> {
  const table = sql.id(DEFAULT_MIGRATION_TABLE)
  const { rows: tables } = await sql<{ table: string | null }>`
    select to_regclass(${DEFAULT_MIGRATION_TABLE})::text as table`.execute(kysely)
  if (!tables[0]?.table) return []
  const { rows } = await sql<{ name: string }>`select name from ${table} order by name`.execute(kysely)
  return rows.map(({ name }) => name)
}

function migratorOf(db: Db['sql']): Migrator {
  return new Migrator({ db, provider: { getMigrations: async () => readMigrations() } })
}

/**
 * Sends the statements of a file as one text without parameters; PostgreSQL and PGlite run them one after the other.
 */
function readMigrations() {
  return Object.fromEntries(
    migrationFiles().map((file) => {
      const statements = sql.raw(readFileSync(join(MIGRATIONS_FOLDER, file), 'utf8'))
      return [nameOf(file), { up: async (transaction: Db['sql']) => void (await statements.execute(transaction)) }]
    }),
  )
}

function migrationFiles(): string[] {
  return readdirSync(MIGRATIONS_FOLDER)
    .filter((file) => file.endsWith('.sql'))
    .sort()
}

function nameOf(file: string): string {
  return file.replace(/\.sql$/, '')
}
