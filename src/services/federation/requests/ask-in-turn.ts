import { MatrixError } from '../../../core/errors.ts'
import type { ServerName } from '../../../core/ids.ts'
import { DeniedServerError, FederationError } from '../../../infra/federation/federation-error.ts'

/** Refusals which only mean that this server cannot help. */
const SERVERS_OWN = new Set(['M_NOT_FOUND', 'M_UNRECOGNIZED', 'M_UNABLE_TO_AUTHORISE_JOIN', 'M_UNABLE_TO_GRANT_JOIN'])
/**
 * The request itself was malformed, which the user cannot change.
 * https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1make_joinroomiduserid
 */
const OUR_FAULT = new Set(['M_MISSING_PARAM', 'M_INVALID_PARAM'])

/**
 * Returns the answer of the first of some servers that can help. Throws a definite refusal, such as M_FORBIDDEN. If
 * none could help, throws the last refusal, or 502 if none could be reached.
 */
export async function askInTurn<Result>(
  servers: readonly ServerName[],
  ask: (server: ServerName) => Promise<Result>,
): Promise<Result> {
  let refusal: MatrixError | undefined
  let failure: MatrixError | undefined
  for (const server of servers) {
    try {
      return await ask(server)
    } catch (error) {
      if (!(error instanceof FederationError)) throw error
      if (error instanceof DeniedServerError) refusal ??= error.toMatrixError()
      else if (!isRefusal(error)) failure = new MatrixError(502, 'M_UNKNOWN', error.message)
      else if (SERVERS_OWN.has(error.errcode)) refusal = error.toMatrixError()
      else throw error.toMatrixError()
    }
  }
  throw refusal ?? failure ?? new MatrixError(404, 'M_NOT_FOUND', 'No server in the room is known')
}

/** Returns whether the server decided about the request; any other error counts as no answer. */
function isRefusal({ status, retryable, errcode }: FederationError): boolean {
  return status !== undefined && status !== 401 && !retryable && !OUR_FAULT.has(errcode)
}
