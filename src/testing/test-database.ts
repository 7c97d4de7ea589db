import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PGlite } from '@electric-sql/pglite'
import type { Database } from '../storage/engine/database.ts'
import { loadPglite } from '../storage/engine/load-pglite.ts'
import { MIGRATIONS_FOLDER, migrate } from '../storage/engine/migrate.ts'
import { onPglite } from '../storage/engine/open-database.ts'

/** Zeroing the default 128 MB takes as long as the rest of a start. */
const SMALL = ['shared_buffers = 4MB']
/** PostgreSQL's own templates: they are two thirds of the files, and copying takes time per file. */
const DROP_TEMPLATES = `
  update pg_database set datistemplate = false, datallowconn = true;
  drop database template0;
  drop database template1;
  checkpoint`
const CACHE = join(import.meta.dirname, '..', '..', 'node_modules', '.cache', 'hearth')
let template: Promise<Blob> | undefined

/**
 * Creates a migrated database in memory, for unit tests: a copy of a template that is built once per state of the
 * migrations.
 */
export async function createTestDatabase(): Promise<Database> {
  return wrap(await createTestPglite())
}

/** As `createTestDatabase`, for tests that use PGlite directly. */
export async function createTestPglite(): Promise<PGlite> {
  template ??= loadTemplate()
  const PGlite = await loadPglite()
  return PGlite.create({ loadDataDir: await template, postgresqlconf: SMALL })
}

async function loadTemplate(): Promise<Blob> {
  return new Blob([readFileSync(await templateFile())])
}

/** Returns a tar file of a migrated database's folder, for tests that start servers. */
export async function templateFile(): Promise<string> {
  const file = join(CACHE, `template-${templateHash()}.tar`)
  if (existsSync(file)) return file
  const dump = await makeTemplate()
  mkdirSync(CACHE, { recursive: true })
  const part = `${file}.${process.pid}`
  writeFileSync(part, Buffer.from(await dump.arrayBuffer()))
  renameSync(part, file)
  for (const old of readdirSync(CACHE)) {
    if (old.endsWith('.tar') && join(CACHE, old) !== file) rmSync(join(CACHE, old), { force: true })
  }
  return file
}

function templateHash(): string {
  const hash = createHash('sha256').update(DROP_TEMPLATES)
  for (const file of readdirSync(MIGRATIONS_FOLDER).sort())
    hash.update(file).update(readFileSync(join(MIGRATIONS_FOLDER, file)))
  return hash.digest('hex').slice(0, 16)
}

async function makeTemplate(): Promise<Blob> {
  const pglite = await (await loadPglite()).create()
  await migrate(wrap(pglite))
  for (const statement of DROP_TEMPLATES.split(';')) await pglite.exec(statement)
  const dump = await pglite.dumpDataDir('none')
  await pglite.close()
  return dump
}

function wrap(pglite: PGlite): Database {
  const reportError = (error: unknown) => {
    throw error
  }
  return onPglite(pglite, { cacheBytes: 16_000_000, reportError })
}
