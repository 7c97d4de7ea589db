import type { Kysely } from 'kysely'
import type { NewStreamRow } from '../schema/stream.ts'
import type { Tables } from '../schema/tables.ts'
import { brokenReference, type Committed, type Database, type Db, type Tx } from './database.ts'
import { isOutdated } from './prepared-statements.ts'
import { addRowsOfRooms } from './rows-of-rooms.ts'
import { appendStreamRows } from './stream-append.ts'
import { allOf, type Statements } from './transactions.ts'

const RETRIES = 8

/** Makes `write` for an open pool. `reportHookError` receives errors of afterCommit hooks. */
export function makeWrite(
  { transact }: Statements,
  memory: Omit<Db, 'sql'>,
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
    const final: (() => Promise<unknown>)[] = []
    const begin = async (transaction: Kysely<Tables>) => {
      const tx = {
        sql: transaction,
        ...memory,
        streamRows,
        afterCommit: (hook: (typeof hooks)[number]) => hooks.push(hook),
        sendWithCommit: (send: (typeof final)[number]) => final.push(send),
      } as unknown as Tx
      const value = await work(tx)
      await addRowsOfRooms(transaction, streamRows)
      return value
    }
    const [result, lastPosition] = await transact({
      isLazy,
      work: begin,
      last: (transaction) => sendLast(transaction, final, streamRows),
      mayLack: () => final.length > 0,
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

/** Sends the last statements of a transaction; returns the position of its last stream row, if it has any. */
async function sendLast(
  transaction: Kysely<Tables>,
  final: readonly (() => Promise<unknown>)[],
  streamRows: readonly NewStreamRow[],
): Promise<number | undefined> {
  // In this order: the others may add rows to the stream, and the error of the first that failed is thrown.
  const [, position] = await allOf([allOf(final.map((send) => send())), appendStreamRows(transaction, streamRows)])
  return position
}

/**
 * Serialisation failures, deadlocks, outdated statements, and references to rows that another transaction has just
 * deleted: a retry may succeed, or find the row deleted.
 */
function asksForRetry(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code
  return code === '40001' || code === '40P01' || isOutdated(error) || brokenReference(error) !== undefined
}
