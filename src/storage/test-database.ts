import { PGlite } from '@electric-sql/pglite'
import { Kysely, PGliteDialect } from 'kysely'
import { createCaches } from './caches.ts'
import { type Database, makeWrite } from './database.ts'
import { migrate } from './migrate.ts'
import type { Tables } from './schema.ts'

let template: Promise<File | Blob> | undefined

/** A fresh migrated database in memory, for unit tests: a copy of a template, not migrated each time. */
export async function createTestDatabase(): Promise<Database> {
  template ??= makeTemplate()
  return wrap(await PGlite.create({ loadDataDir: await template, parsers: { 20: Number } }))
}

async function makeTemplate(): Promise<File | Blob> {
  const pglite = await PGlite.create({ parsers: { 20: Number } })
  await migrate(wrap(pglite))
  const dump = await pglite.dumpDataDir('none')
  await pglite.close()
  return dump
}

function wrap(pglite: PGlite): Database {
  const kysely = new Kysely<Tables>({ dialect: new PGliteDialect({ pglite }) })
  const caches = createCaches(16_000_000)
  const reportError = (error: unknown) => {
    throw error
  }
  return {
    engine: 'pglite',
    sql: kysely,
    caches,
    ...makeWrite(kysely, caches, reportError),
    listen: async () => async () => {},
    poolStatus: () => ({ total: 1, idle: 0, waiting: 0 }),
    close: () => kysely.destroy(),
  }
}
