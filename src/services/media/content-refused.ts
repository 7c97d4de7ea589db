import { MatrixError } from '../../core/errors.ts'

/** 403: a content that this server does not store. */
export class ContentRefusedError extends MatrixError {
  readonly sha256: string

  constructor(sha256: string, message: string) {
    super(403, 'M_FORBIDDEN', message)
    this.sha256 = sha256
  }
}
