import { MatrixError } from '../../core/errors.ts'

/** 503: the store of media does not answer. The cause is for the log only. */
export class StoreUnavailableError extends MatrixError {
  constructor(cause: unknown) {
    super(503, 'M_UNKNOWN', 'The media store of this server cannot be reached. Try again later.')
    this.cause = cause
  }
}

/** Describes the error of a store to its administrator. */
export function whyStoreFails(error: unknown): string {
  const { name, message } = (error instanceof StoreUnavailableError ? error.cause : error) as Error
  return [name, message].filter((part) => part && part !== 'Error').join(': ')
}
