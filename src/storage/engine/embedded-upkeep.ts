import { type Kysely, sql } from 'kysely'
import type { Tables } from '../schema/tables.ts'

const INTERVAL_MS = 60_000
/** A quarter of the default sample, because analyze blocks everything else: 40 ms for a large table instead of 150. */
const SAMPLE = 25

/**
 * Replaces PostgreSQL's autovacuum, which PGlite lacks. Without it, cached plans would stay those for the empty tables
 * of the first start, and the space of deleted rows would not be reused. Returns a function that stops it.
 */
export function startUpkeep(kysely: Kysely<Tables>, reportError: (error: unknown) => void): () => Promise<void> {
  let running: Promise<unknown> = Promise.resolve()
  const timer = setInterval(() => {
    running = tidyTables(kysely).catch(reportError)
  }, INTERVAL_MS).unref()
  return async () => {
    clearInterval(timer)
    await running
  }
}

/**
 * Vacuums and analyses the tables with many changes, by autovacuum's thresholds, one after the other. Returns their
 * names.
 */
export async function tidyTables(kysely: Kysely<Tables>): Promise<string[]> {
  const { rows } = await sql<{ name: string; is_loose: boolean }>`
    select * from (
      select stat.relname as name, n_dead_tup > 50 + 0.2 * greatest(reltuples, 0) or age(relfrozenxid) > 150000000 as is_loose,
        n_mod_since_analyze > 50 + 0.1 * greatest(reltuples, 0) as has_changed
      from pg_stat_user_tables as stat join pg_class on pg_class.oid = relid
    ) as tables where is_loose or has_changed order by name`.execute(kysely)
  if (rows.length > 0) await sql.raw(`set default_statistics_target = ${SAMPLE}`).execute(kysely)
  for (const { name, is_loose: isLoose } of rows)
    await sql`${sql.raw(isLoose ? 'vacuum analyze' : 'analyze')} ${sql.id(name)}`.execute(kysely)
  return rows.map(({ name }) => name)
}
