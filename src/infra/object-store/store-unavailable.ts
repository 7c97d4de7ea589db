import { MatrixError } from '../../core/errors.ts'

/** 503: the store of media does not answer. The cause is for the log only. */
export class StoreUnavailableError extends MatrixError {
  constructor(cause: unknown) {
    super(503, 'M_UNKNOWN', 'The media store of this server cannot be reached. Try again later.')
    this.cause = cause
  }
}
