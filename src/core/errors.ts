/**
 * An error that the client or peer receives as `{errcode, error, …}`:
 * https://spec.matrix.org/v1.19/client-server-api/#standard-error-response
 */
export class MatrixError extends Error {
  readonly status: number
  readonly errcode: string
  /** Further keys of the response, such as `retry_after_ms`. */
  readonly extra: Record<string, unknown>

  constructor(status: number, errcode: string, message: string, extra: Record<string, unknown> = {}) {
    super(message)
    this.name = new.target.name
    this.status = status
    this.errcode = errcode
    this.extra = extra
  }

  /** The body of the response. */
  toJSON(): Record<string, unknown> {
    return { errcode: this.errcode, error: this.message, ...this.extra }
  }
}

/** 400: the request is well-formed JSON that the endpoint does not accept. */
export class BadJsonError extends MatrixError {
  constructor(message: string) {
    super(400, 'M_BAD_JSON', message)
  }
}

/** 400: a parameter has a wrong value. */
export class InvalidParamError extends MatrixError {
  constructor(message: string) {
    super(400, 'M_INVALID_PARAM', message)
  }
}

/** 400: a parameter is missing. */
export class MissingParamError extends MatrixError {
  constructor(message: string) {
    super(400, 'M_MISSING_PARAM', message)
  }
}

/** 403: authenticated, but not allowed. */
export class ForbiddenError extends MatrixError {
  constructor(message: string) {
    super(403, 'M_FORBIDDEN', message)
  }
}

/** 403: the user is suspended: https://spec.matrix.org/v1.19/client-server-api/#account-suspension */
export class SuspendedError extends MatrixError {
  constructor() {
    super(403, 'M_USER_SUSPENDED', 'You cannot do this while your account is suspended')
  }
}

/** 404: the object does not exist. */
export class NotFoundError extends MatrixError {
  constructor(message: string) {
    super(404, 'M_NOT_FOUND', message)
  }
}

/** 413: a body, event or file is over its limit. */
export class TooLargeError extends MatrixError {
  constructor(message: string) {
    super(413, 'M_TOO_LARGE', message)
  }
}
