import { sql } from 'kysely'
import type { Db } from '../engine/database.ts'

/** A table of Hearth with data to keep. `columns`: those that are stored, in order. */
export type KeptTable = { name: string; columns: string[] }

/** A sequence and the last value that it gave; null: none yet. */
export type SequenceValue = { name: string; last: number | null }

/**
 * Returns the tables of the database, each after the tables that it references. Unlogged tables, which a crash empties
 * anyway, and kysely's record of migrations are left out.
 */
export async function listTables(db: Db): Promise<KeptTable[]> {
  const { rows: tables } =
    await sql<KeptTable>`select relname as name, array_agg(attname::text order by attnum) as columns
    from pg_class join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
    where relnamespace = current_schema::regnamespace and relkind = 'r' and relpersistence = 'p'
      and relname not like 'kysely_migration%' and attgenerated = ''
    group by relname order by relname`.execute(db.sql)
  const { rows: references } = await sql<{ name: string; target: string }>`select source.relname as name,
      target.relname as target
    from pg_constraint join pg_class as source on source.oid = conrelid join pg_class as target on target.oid = confrelid
    where contype = 'f' and connamespace = current_schema::regnamespace`.execute(db.sql)
  return inOrder(
    tables,
    Map.groupBy(references, ({ name }) => name),
  )
}

function inOrder(tables: KeptTable[], references: Map<string, { target: string }[]>): KeptTable[] {
  const ordered = new Set<KeptTable>()
  const named = new Map(tables.map((table) => [table.name, table]))
  const add = (table: KeptTable | undefined) => {
    if (!table || ordered.has(table)) return
    for (const { target } of references.get(table.name) ?? []) if (target !== table.name) add(named.get(target))
    ordered.add(table)
  }
  for (const table of tables) add(table)
  return [...ordered]
}

/** Returns all sequences. Their values are never older than a snapshot that began before the call. */
export async function readSequences(db: Db): Promise<SequenceValue[]> {
  const { rows } = await sql<SequenceValue>`select sequencename as name, last_value as last from pg_sequences
    where schemaname = current_schema order by sequencename`.execute(db.sql)
  return rows
}
