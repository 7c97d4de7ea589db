import type { Config } from '../../config.ts'
import type { ServerName } from '../../core/ids.ts'
import type { ObjectStores } from '../../infra/object-store/object-stores.ts'
import type { Random } from '../../infra/random.ts'
import type { SynapseConfig } from '../../infra/synapse/synapse-config.ts'
import type { SynapseDatabase } from '../../infra/synapse/synapse-database.ts'
import type { Database, Tx } from '../../storage/engine/database.ts'
import type { TakeNids } from '../../storage/engine/nids.ts'
import type { Tables } from '../../storage/schema/tables.ts'
import type { MasSource } from './mas-source.ts'

/** The ranges of numbers in Synapse's database. */
export type SynapseExtent = {
  /** The highest stream_ordering of an event; positions of the stream up to it are Synapse's. */
  lastOrdering: number
  /** Added to an event's stream_ordering, it is the event's nid: backfilled events have negative ones. */
  nidShift: number
  /** The highest number of any of Synapse's streams: Hearth's stream continues above it. */
  lastPosition: number
}

/** State that the steps of an import share. */
export type ImportContext = {
  database: Database
  takeNids: TakeNids
  random: Random
  serverName: ServerName
  synapse: SynapseConfig
  main: SynapseDatabase
  state: SynapseDatabase
  /** The Matrix Authentication Service that has the sign-in of users; undefined: Synapse has it, or it is left out. */
  mas: MasSource | undefined
  /** The identity providers of Hearth's configuration. */
  providers: Config['identity_providers']
  extent: SynapseExtent
  /** Where files are stored; undefined: they are left out. */
  stores: ObjectStores | undefined
  now: number
  /** Adds a line to the report, about something that is not imported. */
  note(line: string): void
}

/** Rows of the source that are stored in one transaction. */
export type ImportBatch = {
  /** JSON: where the next batch begins. */
  bookmark: unknown
  /** How many rows of the source it has. */
  read: number
  /** Stores them; returns how many were stored. May run again, if the database asks for it. */
  write(tx: Tx): Promise<number>
}

/** A part of the import. It runs after the steps before it. */
export type ImportStep = {
  /** As the report shows it. */
  name: string
  /** Returns the batch after a bookmark (null: the first one); undefined at the end. */
  next(context: ImportContext, bookmark: unknown): Promise<ImportBatch | undefined>
  /** Counts the rows of the source; absent: the step has none of its own. */
  count?(context: ImportContext): Promise<number>
  /** The table of which each row of the source becomes a row; undefined: rows may be left out, or are merged. */
  table?: keyof Tables | undefined
}

/** A step that reads rows in order of a unique key. */
type RowStep<Row, Prepared> = {
  name: string
  /** The select list. */
  columns: string
  /** The SQL after `from`, without `where`. */
  from: string
  where?: string
  /** Columns of the unique key, none of them null. */
  key: readonly string[]
  size?: number
  /** As in ImportStep. */
  table?: keyof Tables
  /** Runs before the transaction, for what it must not wait for. */
  prepare?(rows: Row[], context: ImportContext): Promise<Prepared[]>
  store(tx: Tx, rows: readonly Prepared[], context: ImportContext): Promise<number>
}

const SIZE = 1000

/** Makes a step that reads rows of Synapse's main database in pages. */
export function rowStep<Row>(step: RowStep<Row, Row>): ImportStep {
  return pagedStep(step, ({ main }) => main)
}

/** Makes a step that reads rows of the database of the Matrix Authentication Service in pages. */
export function masStep<Row, Prepared = Row>(step: RowStep<Row, Prepared>): ImportStep {
  return pagedStep(step, ({ mas }) => mas!.database)
}

function pagedStep<Row, Prepared>(
  step: RowStep<Row, Prepared>,
  sourceOf: (context: ImportContext) => SynapseDatabase,
): ImportStep {
  const { name, columns, from, where = 'true', key, size = SIZE, table, prepare, store } = step
  const order = key.join(', ')
  const selected = key.map((column, place) => `${column} as bookmark_${place}`).join(', ')
  const after = `(${order}) > (${key.map((_, place) => `$${place + 1}`).join(', ')})`
  const page = (condition: string) =>
    `select ${columns}, ${selected} from ${from} where ${condition} order by ${order} limit ${size}`
  return {
    name,
    table,
    async next(context, bookmark) {
      const source = sourceOf(context)
      const rows =
        bookmark === null
          ? await source.query<Row>(page(where))
          : await source.query<Row>(page(`(${where}) and ${after}`), bookmark as string[])
      const last = rows.at(-1) as Record<string, unknown> | undefined
      if (!last) return undefined
      const prepared = prepare ? await prepare(rows, context) : (rows as unknown as Prepared[])
      return {
        bookmark: key.map((_, place) => last[`bookmark_${place}`]),
        read: rows.length,
        write: (tx) => store(tx, prepared, context),
      }
    },
    count: async (context) => {
      const [row] = await sourceOf(context).query<{ count: number }>(
        `select count(*) as count from ${from} where ${where}`,
      )
      return row!.count
    },
  }
}

/** Makes a step that is one transaction. */
export function singleStep(
  name: string,
  prepare: (context: ImportContext) => Promise<{ read: number; write(tx: Tx): Promise<number> }>,
): ImportStep {
  return {
    name,
    async next(context, bookmark) {
      return bookmark === null ? { ...(await prepare(context)), bookmark: 'done' } : undefined
    },
  }
}

/** Returns a number of another server's JSON as PostgreSQL and JavaScript can store it; 0: it is none. */
export function integerOf(value: unknown): number {
  if (typeof value !== 'number') return 0
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Math.trunc(value), Number.MAX_SAFE_INTEGER))
}

/** Returns the text of a column that Synapse stores as bytes or as text. */
export function textOf(value: string | Uint8Array): string {
  return typeof value === 'string' ? value : Buffer.from(value).toString('utf8')
}
