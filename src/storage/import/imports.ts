import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import type { ImportStepRow } from '../schema/import.ts'

/** An import was begun and not finished. The message says what to do. */
export class UnfinishedImportError extends Error {
  override readonly name = 'UnfinishedImportError'
}

/** Throws UnfinishedImportError if an import into this database was begun and not finished. */
export async function requireFinishedImport(db: Db): Promise<void> {
  const found = await findImport(db)
  if (!found || found.finished_ts !== null) return
  throw new UnfinishedImportError(
    'An import from Synapse was begun and has not finished. Run `hearth import-synapse import` again: it continues. ' +
      'To start without it, use an empty data folder or database.',
  )
}

/** Returns the import into this database; undefined if there was none. */
export async function findImport(
  db: Db,
): Promise<{ fingerprint: string; started_ts: number; finished_ts: number | null } | undefined> {
  return db.sql.selectFrom('imports').select(['fingerprint', 'started_ts', 'finished_ts']).executeTakeFirst()
}

/** Records that an import begins. */
export async function beginImport(tx: Tx, { fingerprint, now }: { fingerprint: string; now: number }): Promise<void> {
  await sql`insert into imports (fingerprint, started_ts) values (${fingerprint}, ${now}::bigint)`.execute(tx.sql)
}

/** Records that the import is finished, so that the server may start. */
export async function finishImport(tx: Tx, now: number): Promise<void> {
  await sql`update imports set finished_ts = ${now}::bigint where finished_ts is null`.execute(tx.sql)
}

/** Returns how far the steps of the import are, by name; steps that have not begun are absent. */
export async function loadImportSteps(db: Db): Promise<Map<string, ImportStepRow>> {
  const rows = await db.sql.selectFrom('import_steps').selectAll().execute()
  return new Map(rows.map((row) => [row.step, row]))
}

/** Moves the bookmark of a step, and adds to its counts. */
export async function moveBookmark(tx: Tx, step: ImportStepRow): Promise<void> {
  await sql`insert into import_steps (step, bookmark, is_done, rows_read, rows_stored)
    values (${step.step}, ${step.bookmark}, ${step.is_done}::boolean, ${step.rows_read}::bigint, ${step.rows_stored}::bigint)
    on conflict (step) do update set bookmark = excluded.bookmark, is_done = excluded.is_done,
      rows_read = import_steps.rows_read + excluded.rows_read,
      rows_stored = import_steps.rows_stored + excluded.rows_stored`.execute(tx.sql)
}

/** Whether a server has used the database, or uses it now. */
export async function wasUsed(db: Db): Promise<boolean> {
  const { rows } = await sql<{ was_used: boolean }>`select exists (select 1 from own_keys)
    or exists (select 1 from users) as was_used`.execute(db.sql)
  return rows[0]!.was_used
}
