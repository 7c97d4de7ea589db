import { type Kysely, sql } from 'kysely'
import type { Caches } from './caches.ts'
import { addDeviceListRooms } from './device-list-rooms.ts'
import { isOutdated } from './prepared-statements.ts'
import type { Tables } from './schema.ts'
import { appendStreamRows, type NewStreamRow } from './stream-append.ts'
import type { Statements } from './transactions.ts'

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

const RETRIES = 8

/** Makes `write` for an open pool. `reportHookError` hears of failed afterCommit hooks. */
export function makeWrite(
  { transact }: Statements,
  caches: Caches,
  reportHookError: (error: unknown) => void,
): Pick<Database, 'write' | 'writeLazily' | 'onCommit'> {
  const listeners: Parameters<Database['onCommit']>[0][] = []

  async function write<Result>(work: (tx: Tx) => Promise<Result>, isLazy = false): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await attemptWrite(work, isLazy)
      } catch (error) {
        if (attempt >= RETRIES || !asksForRetry(error)) throw error
      }
    }
  }

  async function attemptWrite<Result>(work: (tx: Tx) => Promise<Result>, isLazy: boolean): Promise<Result> {
    const hooks: ((committed: Committed) => void)[] = []
    const streamRows: NewStreamRow[] = []
    const begin = async (transaction: Kysely<Tables>) => {
      const tx = {
        sql: transaction,
        caches,
        streamRows,
        afterCommit: (hook: (typeof hooks)[number]) => hooks.push(hook),
      } as unknown as Tx
      const value = await work(tx)
      await addDeviceListRooms(transaction, streamRows)
      return value
    }
    const [result, lastPosition] = await transact({
      isLazy,
      work: begin,
      last: (transaction) => appendStreamRows(transaction, streamRows),
    })
    for (const hook of hooks) runHook(() => hook({ lastPosition }))
    if (lastPosition !== undefined) {
      for (const listener of listeners) runHook(() => listener({ lastPosition, rows: streamRows }))
    }
    return result
  }

  function runHook(hook: () => void): void {
    try {
      hook()
    } catch (error) {
      reportHookError(error)
    }
  }

  return {
    write: (work) => write(work),
    writeLazily: (work) => write(work, true),
    onCommit: (listener) => listeners.push(listener),
  }
}

/**
 * Serialisation failures, deadlocks, outdated statements, and references to rows that another transaction has just deleted: the same work may well
 * succeed, or find out what is gone, when it is done again.
 */
function asksForRetry(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return code === '40001' || code === '40P01' || isOutdated(error) || brokenReference(error) !== undefined
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
