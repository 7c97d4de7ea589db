import { MatrixError } from '../core/errors.ts'

/** System errors, and SQLSTATEs of the database: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT', '53100'])

/** Of connections (class 08), of a server that stops or starts (57P…) or has too many connections, and of the network. */
const DATABASE_AWAY = /^(08\w{3}|57P0[123]|53300|ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT)$/
/** Of a statement, of a wait for a lock, and of a transaction without statements: the time limits of the configuration. */
const TIMED_OUT = new Set(['57014', '55P03', '25P03'])
/** The driver gives these errors no code. */
const CONNECTION_ENDED = /^(Connection terminated|Client has encountered a connection error)/

/**
 * Returns the 503 that tells clients of an outage of the machine or the database, or of a database that takes too long, so that they retry later; undefined for other errors. Only for errors
 * of the database and of this machine's files: errors of other servers have to be handled before.
 */
export function outageError(error: unknown): MatrixError | undefined {
  if (!(error instanceof Error) || error instanceof MatrixError) return undefined
  const code = String((error as { code?: unknown }).code ?? '')
  if (DISK_FULL.has(code)) return unavailable('The server has no space left on its disk. Try again later.')
  if (TIMED_OUT.has(code)) return unavailable('The database took too long for this request. Try again later.')
  const isAway = DATABASE_AWAY.test(code) || CONNECTION_ENDED.test(error.message)
  return isAway ? unavailable('The server cannot reach its database. Try again later.') : undefined
}

function unavailable(message: string): MatrixError {
  return new MatrixError(503, 'M_UNKNOWN', message)
}
