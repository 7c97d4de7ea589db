import { readFileSync } from 'node:fs'
import type { PGlite } from '@electric-sql/pglite'
import { hasTemplate, SHRINKING_STATEMENTS, storeTemplate, templatePath } from '../../testing/database-template.ts'
import type { Database } from '../storage/engine/database.ts'
import { loadPglite } from '../storage/engine/load-pglite.ts'
import { migrate } from '../storage/engine/migrate.ts'
import { onPglite } from '../storage/engine/open-database.ts'

/** Zeroing the default 128 MB takes as long as the rest of a start. */
const SMALL = ['shared_buffers = 4MB']
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

/** Returns the path of the template of the present migrations, which it makes if there is none. */
export async function templateFile(): Promise<string> {
  if (!hasTemplate()) await makeTemplate()
  return templatePath()
}

async function makeTemplate(): Promise<void> {
  const pglite = await (await loadPglite()).create()
  await migrate(wrap(pglite))
  for (const statement of SHRINKING_STATEMENTS) await pglite.exec(statement)
  const dump = await pglite.dumpDataDir('none')
  await pglite.close()
  storeTemplate(Buffer.from(await dump.arrayBuffer()))
}

function wrap(pglite: PGlite): Database {
  const reportError = (error: unknown) => {
    throw error
  }
  return onPglite(pglite, { cacheBytes: 16_000_000, reportError })
}
