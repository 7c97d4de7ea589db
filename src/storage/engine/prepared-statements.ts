import { createHash } from 'node:crypto'
import type { Duplex } from 'node:stream'
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import type pg from 'pg'

/** The maximum number of named statements of a process; further ones run unnamed, to protect the database's memory. */
const MAX_NAMED = 2000

/** Measures the database. `now`: milliseconds of a clock that only moves forward. */
export type DatabaseObserver = {
  now(): number
  /** A statement has ended after some seconds. */
  statement(seconds: number): void
  /** A caller got a connection after some seconds; the pool as it is then. */
  connection(waited: number, pool: { used: number; waiting: number }): void
}

/** Whether a prepared statement returns other columns than before: another process has migrated the database since. */
export function isOutdated(error: unknown): boolean {
  const { code, routine } = (error ?? {}) as { code?: unknown; routine?: unknown }
  return code === '0A000' && routine === 'RevalidateCachedQuery'
}

/**
 * Statements that start in one turn of the event loop are sent in one write: a write to a connection costs as much as
 * building the messages.
 */
function sendTogether(client: pg.PoolClient): void {
  const { stream } = (client as unknown as { connection: { stream: Duplex } }).connection
  if (stream.writableCorked > 0) return
  stream.cork()
  process.nextTick(() => stream.uncork())
}

/**
 * Wraps a pool so that each statement with parameters is prepared once per connection. The number of texts is limited,
 * because lists are sent as arrays (`= any($1)`). An outdated statement is prepared again under another name; in a
 * transaction, which has failed by then, at its retry. `observer` measures all statements.
 */
export function nameStatements(pool: pg.Pool, observer?: DatabaseObserver): PostgresPool {
  const names = new Map<string, string>()
  const wrapped = new WeakMap<pg.PoolClient, PostgresPoolClient>()

  function nameOf(text: string): string | undefined {
    const known = names.get(text)
    if (known || names.size >= MAX_NAMED) return known
    return rename(text, '')
  }

  function rename(text: string, outdated: string): string {
    const name = createHash('sha256').update(outdated).update(text).digest('base64url').slice(0, 20)
    names.set(text, name)
    return name
  }

  /** Runs a statement by its name, and again under another name if it is outdated. */
  async function run(client: pg.PoolClient, text: string, values: readonly unknown[]): Promise<pg.QueryResult> {
    const name = nameOf(text)
    const query = { text, values: [...values], ...(name && { name }) }
    try {
      return await client.query(query)
    } catch (error) {
      if (name === undefined || !isOutdated(error)) throw error
      // Another connection may have renamed it already.
      if (names.get(text) === name) rename(text, name)
      return client.query({ ...query, name: nameOf(text)! }).catch(() => Promise.reject(error))
    }
  }

  function wrap(client: pg.PoolClient): PostgresPoolClient {
    const query = (text: unknown, values?: readonly unknown[]) => {
      sendTogether(client)
      if (typeof text !== 'string' || !values || values.length === 0)
        return timed(observer, client.query(text as string))
      return timed(observer, run(client, text, values))
    }
    return { query, release: (destroy?: boolean) => client.release(destroy) } as unknown as PostgresPoolClient
  }

  return {
    async connect() {
      const client = await connected(observer, pool)
      const known = wrapped.get(client) ?? wrap(client)
      wrapped.set(client, known)
      return known
    },
    end: () => pool.end(),
    options: {},
  }
}

async function connected(observer: DatabaseObserver | undefined, pool: pg.Pool): Promise<pg.PoolClient> {
  if (!observer) return pool.connect()
  const started = observer.now()
  const client = await pool.connect()
  const status = { used: pool.totalCount - pool.idleCount, waiting: pool.waitingCount }
  observer.connection((observer.now() - started) / 1000, status)
  return client
}

function timed<Result>(observer: DatabaseObserver | undefined, sent: Promise<Result>): Promise<Result> {
  if (!observer) return sent
  const started = observer.now()
  const end = () => observer.statement((observer.now() - started) / 1000)
  sent.then(end, end)
  return sent
}
