import { createHash } from 'node:crypto'
import type { PostgresPool, PostgresPoolClient } from 'kysely'
import type pg from 'pg'

/** Statements of one process; past this many, further ones run unnamed rather than fill the server's memory. */
const MAX_NAMED = 2000

/**
 * Wraps a pool so that each statement with parameters is prepared once per connection and only bound afterwards.
 * Safe for us because lists travel as arrays (`= any($1)`), so the number of texts is that of the statements in the code.
 */
export function nameStatements(pool: pg.Pool): PostgresPool {
  const names = new Map<string, string>()
  const wrapped = new WeakMap<pg.PoolClient, PostgresPoolClient>()

  function nameOf(text: string): string | undefined {
    const known = names.get(text)
    if (known || names.size >= MAX_NAMED) return known
    const name = createHash('sha256').update(text).digest('base64url').slice(0, 20)
    names.set(text, name)
    return name
  }

  function wrap(client: pg.PoolClient): PostgresPoolClient {
    const query = (text: unknown, values?: readonly unknown[]) => {
      if (typeof text !== 'string' || !values || values.length === 0) return client.query(text as string)
      return client.query({ name: nameOf(text), text, values: values as unknown[] } as pg.QueryConfig)
    }
    return { query, release: (destroy?: boolean) => client.release(destroy) } as unknown as PostgresPoolClient
  }

  return {
    async connect() {
      const client = await pool.connect()
      const known = wrapped.get(client) ?? wrap(client)
      wrapped.set(client, known)
      return known
    },
    end: () => pool.end(),
    options: {},
  }
}
