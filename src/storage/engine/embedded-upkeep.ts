import { type Kysely, sql } from 'kysely'
import type { Tables } from '../schema/tables.ts'

const INTERVAL_MS = 60_000
/** A quarter of the usual sample, for all else stands still meanwhile: 40 ms for a large table instead of 150. */
const SAMPLE = 25

/**
 * Does for the embedded database what PostgreSQL's autovacuum does, which has no process of its own there: without it plans, which are kept, would for ever
 * be those for the empty tables of the first start, and the space of what was deleted would not be used again. Returns how to stop.
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

/** Vacuums and analyses the tables of which much has changed, by autovacuum's measures, one after the other. Returns their names. */
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
