import { MatrixError } from '../../core/errors.ts'

/**
 * With these codes clients would end or renew their own session, or conclude that this server lacks an endpoint: only
 * this server may send them.
 */
const OF_THIS_SERVER = new Set([
  'M_UNRECOGNIZED',
  'M_UNKNOWN_TOKEN',
  'M_MISSING_TOKEN',
  'M_USER_DEACTIVATED',
  'M_USER_LOCKED',
  'M_USER_SUSPENDED',
  'M_CONSENT_NOT_GIVEN',
  'M_RESOURCE_LIMIT_EXCEEDED',
])

/** A request to another server failed, or was refused. */
export class FederationError extends Error {
  /** The status of the response; undefined: there was no (usable) response. */
  readonly status: number | undefined
  readonly errcode: string
  /** The server's own error message, if any. */
  readonly said: string | undefined
  /** Whether a later retry may succeed: there was no response, or its status allows it. */
  readonly retryable: boolean
  /** The server's Retry-After, in milliseconds. */
  readonly retryAfterMs: number | undefined
  /** Further keys of the server's error, such as `room_version`. */
  readonly extra: Record<string, unknown>

  constructor(message: string, answer: Partial<FederationError> = {}) {
    super(message, { cause: answer.cause })
    this.name = new.target.name
    this.status = answer.status
    this.errcode = answer.errcode ?? 'M_UNKNOWN'
    this.said = answer.said
    this.retryable = answer.retryable ?? (answer.status === undefined || answer.status >= 500 || answer.status === 429)
    this.retryAfterMs = answer.retryAfterMs
    this.extra = answer.extra ?? {}
  }

  /**
   * Whether the server lacks the endpoint. A server that knows it names its errors; a proxy that answers instead often
   * does not.
   */
  isUnknownEndpoint(): boolean {
    const { status = 0, errcode } = this
    return errcode === 'M_UNRECOGNIZED' || (errcode === 'M_UNKNOWN' && [400, 404, 405].includes(status))
  }

  /**
   * Converts to the error for a client whose request needed the other server. Authentication failures between servers
   * (401) and errors of the other server are not the client's.
   */
  toMatrixError(): MatrixError {
    const { status } = this
    if (status === undefined || status === 401 || status < 400 || status >= 500 || OF_THIS_SERVER.has(this.errcode)) {
      return new MatrixError(502, 'M_UNKNOWN', this.message)
    }
    return new MatrixError(status, this.errcode, this.message, this.extra)
  }
}

/** The configuration denies federation with a server: nothing was sent. */
export class DeniedServerError extends FederationError {
  constructor(server: string) {
    super(`This server does not federate with ${server}`, { status: 403, errcode: 'M_FORBIDDEN' })
  }
}
