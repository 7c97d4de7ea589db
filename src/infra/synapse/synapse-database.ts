import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import pg from 'pg'

type Value = string | number | null | readonly string[] | readonly number[]

/** A database of Synapse, in one snapshot that is only read. */
export type SynapseDatabase = {
  engine: 'postgresql' | 'sqlite'
  /**
   * Runs a query. Its text is PostgreSQL's, with `$1` for values and `= any($1)` for lists. SQLite returns booleans as
   * 0 and 1, and bytes as Uint8Array.
   */
  query<Row>(text: string, values?: readonly Value[]): Promise<Row[]>
  /** Counts the other sessions of the same user, such as those of a running Synapse. SQLite cannot tell: 0. */
  countSessions(): Promise<number>
  close(): Promise<void>
}

/** Where Synapse has its tables. */
export type SynapseDatabaseAddress =
  | { engine: 'sqlite'; file: string }
  | { engine: 'postgresql'; connection: pg.ClientConfig }

/**
 * Opens a database of Synapse for reading, in one transaction. Throws the driver's error if it cannot be opened.
 */
export function openSynapseDatabase(address: SynapseDatabaseAddress): Promise<SynapseDatabase> {
  return address.engine === 'sqlite' ? openSqlite(address.file) : openPostgres(address.connection)
}

const APPLICATION = 'hearth import-synapse'

async function openPostgres(connection: pg.ClientConfig): Promise<SynapseDatabase> {
  const types = new pg.TypeOverrides()
  types.setTypeParser(pg.types.builtins.INT8, Number)
  const client = new pg.Client({ ...connection, types, application_name: APPLICATION })
  // A connection that breaks fails its next query.
  client.on('error', () => {})
  await client.connect()
  await client.query('begin transaction isolation level repeatable read read only')
  const query: SynapseDatabase['query'] = async (text, values = []) => (await client.query(text, [...values])).rows
  return {
    engine: 'postgresql',
    query,
    async countSessions() {
      const [row] = await query<{ count: number }>(
        `select count(*) as count from pg_stat_activity where datname = current_database() and usename = current_user
          and application_name <> $1`,
        [APPLICATION],
      )
      return row!.count
    },
    close: () => client.end(),
  }
}

async function openSqlite(file: string): Promise<SynapseDatabase> {
  const database = new DatabaseSync(file, { readOnly: true })
  database.exec('begin')
  const prepared = new Map<string, ReturnType<DatabaseSync['prepare']>>()
  const prepare = (text: string) => {
    const known = prepared.get(text)
    if (known) return known
    const statement = database.prepare(forSqlite(text))
    prepared.set(text, statement)
    return statement
  }
  return {
    engine: 'sqlite',
    async query<Row>(text: string, values: readonly Value[] = []) {
      const named: Record<string, SQLInputValue> = {}
      for (const [place, value] of values.entries())
        named[`$${place + 1}`] = value !== null && typeof value === 'object' ? JSON.stringify(value) : value
      return prepare(text).all(named) as Row[]
    },
    countSessions: async () => 0,
    close: async () => database.close(),
  }
}

/** Lists travel as JSON. */
function forSqlite(text: string): string {
  return text.replace(/= any\((\$\d+)\)/g, 'in (select value from json_each($1))')
}
