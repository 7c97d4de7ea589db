import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { Migrator } from 'kysely/migration'
import type { Db } from './database.ts'

/** Where the migrations are. */
export const MIGRATIONS_FOLDER = join(import.meta.dirname, '..', '..', 'migrations')

/**
 * Brings the database to the newest migration; several processes may do so at once, one works and the others wait.
 * Returns the names of the migrations that ran. Throws when one fails (it is rolled back) or the database is newer than this Hearth.
 */
export async function migrate(db: Db): Promise<string[]> {
  const { error, results } = await migratorOf(db).migrateToLatest()
  if (error) throw error
  return (results ?? []).map((result) => result.migrationName)
}

/** Names of migrations that have not run yet. */
export async function pendingMigrations(db: Db): Promise<string[]> {
  const all = await migratorOf(db).getMigrations()
  return all.filter((migration) => !migration.executedAt).map((migration) => migration.name)
}

function migratorOf(db: Db): Migrator {
  return new Migrator({ db: db.sql, provider: { getMigrations: async () => readMigrations() } })
}

function readMigrations() {
  const files = readdirSync(MIGRATIONS_FOLDER).filter((file) => file.endsWith('.sql'))
  return Object.fromEntries(
    files.map((file) => {
      const statements = splitStatements(readFileSync(join(MIGRATIONS_FOLDER, file), 'utf8'))
      const up = async (transaction: Db['sql']) => {
        for (const statement of statements) await sql.raw(statement).execute(transaction)
      }
      return [file.replace(/\.sql$/, ''), { up }]
    }),
  )
}

/** Cuts a script at semicolons that end a line, but not inside `$$ … $$`: PGlite takes one statement at a time. */
function splitStatements(script: string): string[] {
  const parts = script.split('$$')
  const statements: string[] = []
  let current = ''
  for (const [place, part] of parts.entries()) {
    if (place % 2 === 1) {
      current += `$$${part}$$`
      continue
    }
    const pieces = part.split(/;[ \t]*(?:\n|$)/)
    for (const piece of pieces.slice(0, -1)) {
      statements.push(current + piece)
      current = ''
    }
    current += pieces.at(-1)
  }
  return [...statements, current].filter((statement) => statement.replace(/--.*/g, '').trim() !== '')
}
