import type { EventEmitter } from 'node:events'
import pg from 'pg'

/**
 * Plans a statement once per connection, does not compile it, and uses indexes even where the table is small so far:
 * docs/operations.md#postgresql has the measurements.
 */
const PLANS = 'set plan_cache_mode = force_generic_plan; set jit = off; set enable_seqscan = off'

/**
 * Limits of the run time of a statement, of a wait for a lock, and of an idle transaction, in milliseconds. 0: no
 * limit.
 */
export type TimeLimits = { statement: number; lock: number; idleTransaction: number }

/** The exceeded limit. */
export type TimedOut = keyof TimeLimits

/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
const TIMED_OUT: Readonly<Record<string, TimedOut>> = {
  '57014': 'statement',
  '55P03': 'lock',
  '25P03': 'idleTransaction',
}

/** Returns the time limit that a statement exceeded, by the SQLSTATE of its error; undefined for other errors. */
export function timedOut(sqlState: string): TimedOut | undefined {
  return TIMED_OUT[sqlState]
}

const INT8 = 20
const INT8_ARRAY = 1016

/**
 * Opens a pool of connections with the same settings, which return bigints as numbers. Statements on a connection are
 * pipelined. `reportError` receives errors of idle connections, `reportTimeout` each exceeded limit of `timeLimits`.
 */
export function openPool(
  config: pg.PoolConfig,
  {
    timeLimits,
    reportError,
    reportTimeout,
  }: {
    timeLimits?: TimeLimits | undefined
    reportError: (error: unknown) => void
    reportTimeout?: ((what: TimedOut) => void) | undefined
  },
): pg.Pool {
  const types = new pg.TypeOverrides()
  types.setTypeParser(INT8, Number)
  types.setTypeParser(INT8_ARRAY, (text) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(Number)))
  const pool = new pg.Pool({ ...config, types, application_name: 'hearth', pipeline: true } as pg.PoolConfig)
  pool.on('error', reportError)
  pool.on('connect', (client) => {
    // The pool listens only to idle clients. A client that breaks while in use fails its next statement.
    client.on('error', () => {})
    connectionOf(client).on('errorMessage', ({ code }: { code?: string }) => {
      const what = timedOut(code ?? '')
      if (what) reportTimeout?.(what)
    })
    client.query(timeLimits ? `${PLANS}; ${setTimeLimits(timeLimits)}` : PLANS).catch(reportError)
  })
  return pool
}

/** Returns the statement that sets the time limits of a session. */
function setTimeLimits({ statement, lock, idleTransaction }: TimeLimits): string {
  return `set statement_timeout = ${statement}; set lock_timeout = ${lock}; set idle_in_transaction_session_timeout = ${idleTransaction}`
}

function connectionOf(client: pg.PoolClient): EventEmitter {
  return (client as unknown as { connection: EventEmitter }).connection
}
