import { type Kysely, sql } from 'kysely'
import type { NewStreamRow } from '../schema/stream.ts'
import type { Tables } from '../schema/tables.ts'
import type { Caches } from './caches.ts'

/** What reading functions take: `sql` is kysely on the pool or on the transaction. */
export type Db = {
  readonly sql: Kysely<Tables>
  readonly caches: Caches
}

/** What writing functions take: only `write` makes one, so a write outside a transaction does not compile. */
export type Tx = Db & {
  readonly [inTransaction]: true
  /** Runs after the commit, in order; never when the transaction is rolled back. Errors go to the log, not to the caller. */
  afterCommit(hook: (committed: Committed) => void): void
  /** Rows for the stream; they get their positions as the transaction's last write. */
  readonly streamRows: NewStreamRow[]
}

/** What a commit did to the stream. */
export type Committed = {
  /** The position of the last stream row that the transaction wrote; undefined when it wrote none. */
  lastPosition: number | undefined
}

declare const inTransaction: unique symbol

export type Database = Db & {
  readonly engine: 'postgresql' | 'pglite'
  /** The only way to write. Runs `work` in a transaction, again from the start when the database asks for a retry, so it must have no other effects. */
  write<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>
  /**
   * As `write`, but without waiting until it is on disk. It survives the end of this process; when the database's machine ends within the next second it
   * may be lost, unless something that `write` wrote was committed after it. For what nobody was promised, and nothing in memory goes by.
   */
  writeLazily<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>
  /** Called after every commit that wrote to the stream. */
  onCommit(listener: (committed: Committed & { rows: readonly NewStreamRow[] }) => void): void
  /** Listens for other processes' hints that the stream has grown; PGlite has no other processes. Returns how to stop. */
  listen(channel: string, onHint: (payload: string) => void): Promise<() => Promise<void>>
  /** Pool figures for metrics: connections open, idle, and callers waiting for one. */
  poolStatus(): { total: number; idle: number; waiting: number }
  close(): Promise<void>
}

/** Whether a database error says that a unique constraint or index of this name refused a row. */
export function violatesUnique(error: unknown, constraint: string): boolean {
  const fault = error as { code?: unknown; constraint?: unknown } | null
  return fault?.code === '23505' && fault.constraint === constraint
}

/** The name of the foreign key for which the database refused a row, if that is why: what it refers to is not there, or no longer. */
export function brokenReference(error: unknown): string | undefined {
  const fault = error as { code?: unknown; constraint?: string } | null
  return fault?.code === '23503' ? (fault.constraint ?? '') : undefined
}

/** Whether the database refused text that it cannot hold, which is what it does with the character NUL. */
export function refusesText(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '22021'
}

/** Whether the database answers. Throws what the driver throws. */
export async function pingDatabase(db: Db): Promise<void> {
  await sql`select 1`.execute(db.sql)
}
