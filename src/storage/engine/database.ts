import { type Kysely, sql } from 'kysely'
import type { ServerName } from '../../core/ids.ts'
import type { NewStreamRow } from '../schema/stream.ts'
import type { Tables } from '../schema/tables.ts'
import type { Caches } from './caches.ts'

/** The argument of reading functions: `sql` is kysely on the pool or on the transaction. */
export type Db = {
  readonly sql: Kysely<Tables>
  readonly caches: Caches
  /** See `onQueued`. */
  readonly outboxListeners: Set<(destinations: readonly ServerName[]) => void>
  readonly stored: StoredCounts
}

/** Totals of what this process has stored since it started. `messages_sent`: by users of this server. */
export type StoredCounts = { messages: number; messages_sent: number; joins: number }

/** The argument of writing functions. Only `write` creates one, so a write outside a transaction does not compile. */
export type Tx = Db & {
  readonly [inTransaction]: true
  /** Runs after the commit, in order; never after a rollback. Errors go to the log, not to the caller. */
  afterCommit(hook: (committed: Committed) => void): void
  /**
   * Sends statements together with the commit, which costs no round trip of their own. Nothing in the transaction may
   * need their answers, and each must start by sending (see `allOf`): a statement after the commit fails.
   */
  sendWithCommit(send: () => Promise<unknown>): void
  /** Rows for the stream; they get their positions in the transaction's last write. */
  readonly streamRows: NewStreamRow[]
}

/** The effect of a commit on the stream. */
export type Committed = {
  /** The position of the last stream row that the transaction wrote; undefined if it wrote none. */
  lastPosition: number | undefined
}

declare const inTransaction: unique symbol

export type Database = Db & {
  readonly engine: 'postgresql' | 'pglite'
  /**
   * The only way to write. Runs `work` in a transaction, and again from the start if the database requests a retry, so
   * `work` must have no other side effects.
   */
  write<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>
  /**
   * Like `write`, but with synchronous_commit=off: does not wait for the disk. The commit survives the end of this
   * process. If the database machine fails within the next second it may be lost, unless a later `write` was committed.
   * Only for best-effort data that nothing in memory depends on.
   */
  writeLazily<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>
  /** Registers a listener for every commit that wrote to the stream. */
  onCommit(listener: (committed: Committed & { rows: readonly NewStreamRow[] }) => void): void
  /**
   * Listens for hints of other processes that the stream has grown; PGlite has no other processes. Returns a function
   * that stops it.
   */
  listen(channel: string, onHint: (payload: string) => void): Promise<() => Promise<void>>
  /** Pool figures for metrics: open and idle connections, and waiting callers. */
  poolStatus(): { total: number; idle: number; waiting: number }
  close(): Promise<void>
}

/** Whether a database error is a violation of the unique constraint or index of this name. */
export function violatesUnique(error: unknown, constraint: string): boolean {
  const fault = error as { code?: unknown; constraint?: unknown } | null
  return fault?.code === '23505' && fault.constraint === constraint
}

/**
 * Returns the name of the violated foreign key, if the error is one: the referenced row does not exist, or was deleted.
 */
export function brokenReference(error: unknown): string | undefined {
  const fault = error as { code?: unknown; constraint?: string } | null
  return fault?.code === '23503' ? (fault.constraint ?? '') : undefined
}

/** Whether the database refused a text that it cannot store: one with the character NUL. */
export function refusesText(error: unknown): boolean {
  return (error as { code?: unknown } | null)?.code === '22021'
}

/** Checks that the database responds. Throws the driver's error. */
export async function pingDatabase(db: Db): Promise<void> {
  await sql`select 1`.execute(db.sql)
}
