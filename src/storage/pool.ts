import pg from 'pg'

/**
 * What a statement is about does not change how it is best gone about: it is planned once for each connection, not anew whenever that looks cheaper to the
 * database. For what reads a list of rooms planning takes ten times as long as reading, and compiling a hundred times as long. A plan from when a table had
 * two rows serves when it has millions: no table is read whole for want of size, where there is an index.
 */
const PLANS = 'set plan_cache_mode = force_generic_plan; set jit = off; set enable_seqscan = off'

const INT8 = 20
const INT8_ARRAY = 1016

/**
 * A pool of connections that are all set up alike, and give bigints as numbers. Statements on one connection are sent without waiting for the answers
 * of those before. `reportError` hears of those that
 * break while they are idle.
 */
export function openPool(config: pg.PoolConfig, reportError: (error: unknown) => void): pg.Pool {
  const types = new pg.TypeOverrides()
  types.setTypeParser(INT8, Number)
  types.setTypeParser(INT8_ARRAY, (text) => (text === '{}' ? [] : text.slice(1, -1).split(',').map(Number)))
  const pool = new pg.Pool({ ...config, types, application_name: 'hearth', pipeline: true } as pg.PoolConfig)
  pool.on('error', reportError)
  pool.on('connect', (client) => client.query(PLANS).catch(reportError))
  return pool
}
