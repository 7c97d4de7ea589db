import { sql } from 'kysely'
import type { Tx } from '../engine/database.ts'
import { storableText } from '../engine/storable-text.ts'
import type { Tables } from '../schema/tables.ts'

/**
 * Inserts rows that all have the same columns; those that exist already stay unchanged. Returns how many were inserted.
 * The rows travel as one JSON text, so that every table and any number of rows need one statement.
 */
export async function insertRows<Name extends keyof Tables>(
  tx: Tx,
  table: Name,
  rows: readonly { [Column in keyof Tables[Name]]?: unknown }[],
): Promise<number> {
  const [first] = rows
  if (!first) return 0
  const columns = sql.join(Object.keys(first).map((column) => sql.ref(column)))
  const text = JSON.stringify(rows, (_key, value) => (typeof value === 'string' ? wellFormed(value) : value))
  const { numAffectedRows } = await sql`insert into ${sql.table(table)} (${columns})
    select ${columns} from json_populate_recordset(null::${sql.table(table)}, ${text}::json)
    on conflict do nothing`.execute(tx.sql)
  return Number(numAffectedRows)
}

/** PostgreSQL stores neither NUL nor half of a surrogate pair. */
function wellFormed(text: string): string {
  return storableText(text).toWellFormed()
}
