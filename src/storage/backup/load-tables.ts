import { sql } from 'kysely'
import type { Db, Tx } from '../engine/database.ts'
import { type KeptTable, listTables, type SequenceValue } from './catalog.ts'

/** Returns a table that has rows once somebody uses a server, and has some; undefined: nobody has used it yet. */
export async function findUsedTable(db: Db): Promise<string | undefined> {
  const { rows } = await sql<{ name: string }>`select name from (values
      ('users', exists (select 1 from users)), ('events', exists (select 1 from events)),
      ('room_heads', exists (select 1 from room_heads)), ('media', exists (select 1 from media)))
    as tables (name, is_used) where is_used limit 1`.execute(db.sql)
  return rows[0]?.name
}

/** Returns how many other sessions of Hearth are connected to the database. */
export async function countOtherSessions(db: Db): Promise<number> {
  const { rows } = await sql<{ sessions: number }>`select count(*)::int as sessions from pg_stat_activity
    where datname = current_database() and application_name = 'hearth' and pid <> pg_backend_pid()`.execute(db.sql)
  return rows[0]!.sessions
}

/** Empties all tables, and stops their triggers until `endLoading`: rows are loaded as they were. */
export async function beginLoading(tx: Tx): Promise<KeptTable[]> {
  const tables = await listTables(tx)
  await sql`truncate ${sql.join(tables.map(({ name }) => sql.table(name)))}`.execute(tx.sql)
  for (const { name } of tables) await sql`alter table ${sql.table(name)} disable trigger user`.execute(tx.sql)
  return tables
}

/** Inserts rows, which are JSON objects, into a table. Columns that they do not have get their default. */
export async function loadRows(tx: Tx, { name, columns }: KeptTable, rows: readonly string[]): Promise<void> {
  const list = sql.join(columns.map((column) => sql.ref(column)))
  await sql`insert into ${sql.table(name)} (${list}) overriding system value
    select ${list} from json_populate_recordset(null::${sql.table(name)}, ${`[${rows.join()}]`}::json)`.execute(tx.sql)
}

/** Starts the triggers again, and lets sequences go on where they were. Sequences that no longer exist are skipped. */
export async function endLoading(
  tx: Tx,
  { tables, sequences }: { tables: readonly KeptTable[]; sequences: readonly SequenceValue[] },
): Promise<void> {
  for (const { name } of tables) await sql`alter table ${sql.table(name)} enable trigger user`.execute(tx.sql)
  const used = sequences.filter(({ last }) => last !== null)
  await sql`select setval(sequencename::regclass, last) from pg_sequences
      join unnest(${used.map(({ name }) => name)}::text[], ${used.map(({ last }) => last!)}::bigint[]) as kept (name, last)
      on sequencename = name where schemaname = current_schema`.execute(tx.sql)
}
