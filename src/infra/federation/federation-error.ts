import { MatrixError } from '../../core/errors.ts'

/**
 * By these clients take it that their own session is over, or to be renewed, or that their server does not have what they ask for: that is for this
 * server alone to say.
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

/** Another server could not be asked, or refused. */
export class FederationError extends Error {
  /** What the server answered; undefined: there was no (usable) answer. */
  readonly status: number | undefined
  readonly errcode: string
  /** The server's own words, if it had any. */
  readonly said: string | undefined
  /** Whether the same request may succeed at another time: there was no answer, or one that says so. */
  readonly retryable: boolean
  /** How long the server asked to be left alone, in milliseconds. */
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

  /** Whether the server does not have what was asked of it. Who knows an endpoint names its errors; what answers otherwise, such as a proxy, often does not. */
  isUnknownEndpoint(): boolean {
    const { status = 0, errcode } = this
    return errcode === 'M_UNRECOGNIZED' || (errcode === 'M_UNKNOWN' && [400, 404, 405].includes(status))
  }

  /** What a client whose request needed the other server is told. Refusals of who we are (401) and troubles of the other server are not the client's. */
  toMatrixError(): MatrixError {
    const { status } = this
    if (status === undefined || status === 401 || status < 400 || status >= 500 || OF_THIS_SERVER.has(this.errcode)) {
      return new MatrixError(502, 'M_UNKNOWN', this.message)
    }
    return new MatrixError(status, this.errcode, this.message, this.extra)
  }
}
