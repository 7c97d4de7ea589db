import { MatrixError } from '../core/errors.ts'
import { timedOut } from '../storage/engine/pool.ts'

/** System errors, and SQLSTATEs of the database: https://www.postgresql.org/docs/current/errcodes-appendix.html */
const DISK_FULL = new Set(['ENOSPC', 'EDQUOT', '53100'])

/**
 * Connection errors (class 08), a server that stops or starts (57P…) or has too many connections, and network errors.
 */
const DATABASE_AWAY =
  /^(08\w{3}|57P0[123]|53300|ECONNREFUSED|ECONNRESET|EPIPE|ENOTFOUND|EAI_AGAIN|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH)$/
/** The driver gives these errors no code. */
const CONNECTION_ENDED = /^(Connection terminated|Client has encountered a connection error)/

/**
 * Returns a 503 for an outage of the machine or the database, or for a database timeout, so that clients retry later;
 * undefined for other errors. Only for errors of the database and of local files: errors of other servers must be
 * handled before.
 */
export function outageError(error: unknown): MatrixError | undefined {
  if (!(error instanceof Error) || error instanceof MatrixError) return undefined
  const code = String((error as { code?: unknown }).code ?? '')
  if (DISK_FULL.has(code)) return unavailable('The server has no space left on its disk. Try again later.')
  if (timedOut(code)) return unavailable('The database took too long for this request. Try again later.')
  const isAway = DATABASE_AWAY.test(code) || CONNECTION_ENDED.test(error.message)
  return isAway ? unavailable('The server cannot reach its database. Try again later.') : undefined
}

function unavailable(message: string): MatrixError {
  return new MatrixError(503, 'M_UNKNOWN', message)
}
