import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '..')
const MIGRATIONS = join(ROOT, 'migrations')
const CACHE = join(ROOT, 'node_modules', '.cache', 'hearth')

/**
 * Statements that make a migrated PGlite smaller. PostgreSQL's own templates are two thirds of the files, and each file
 * of a copy takes time.
 */
export const SHRINKING_STATEMENTS = [
  'update pg_database set datistemplate = false, datallowconn = true',
  'drop database template0',
  'drop database template1',
  'checkpoint',
] as const

/** Returns the path of the tar file of a migrated PGlite's folder. `src/testing/make-template.ts` makes the file. */
export function templatePath(): string {
  const hash = createHash('sha256').update(SHRINKING_STATEMENTS.join())
  for (const file of readdirSync(MIGRATIONS).sort()) hash.update(file).update(readFileSync(join(MIGRATIONS, file)))
  return join(CACHE, `template-${hash.digest('hex').slice(0, 16)}.tar`)
}

/** Returns whether the template for the present migrations exists. */
export function hasTemplate(): boolean {
  return existsSync(templatePath())
}

/** Stores the template, and deletes templates of other migrations. */
export function storeTemplate(tar: Buffer): void {
  const file = templatePath()
  mkdirSync(CACHE, { recursive: true })
  const part = `${file}.${process.pid}`
  writeFileSync(part, tar)
  renameSync(part, file)
  for (const old of readdirSync(CACHE)) {
    if (old.endsWith('.tar') && join(CACHE, old) !== file) rmSync(join(CACHE, old), { force: true })
  }
}
