import { MatrixError } from '../../core/errors.ts'

/** Errors of RFC 6749, 7009, 7591 and 8628, with their HTTP status at our endpoints. */
const STATUSES = {
  invalid_request: 400,
  invalid_client: 401,
  invalid_grant: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  unsupported_response_type: 400,
  invalid_scope: 400,
  access_denied: 400,
  login_required: 400,
  consent_required: 400,
  request_not_supported: 400,
  request_uri_not_supported: 400,
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  invalid_token: 401,
  authorization_pending: 400,
  slow_down: 400,
  expired_token: 400,
  temporarily_unavailable: 503,
  server_error: 500,
} as const

export type OAuthErrorCode = keyof typeof STATUSES

/**
 * An error of an OAuth 2.0 endpoint, which the client receives as `{error, error_description}`:
 * https://www.rfc-editor.org/rfc/rfc6749#section-5.2
 */
export class OAuthError extends MatrixError {
  readonly code: OAuthErrorCode

  constructor(code: OAuthErrorCode, message: string) {
    super(STATUSES[code], code, message)
    this.code = code
  }

  /** The body of the response. */
  override toJSON(): Record<string, unknown> {
    return { error: this.code, error_description: errorDescription(this.message) }
  }
}

/** Returns a text as an `error_description`, which permits no quotes, backslashes and characters beyond ASCII. */
export function errorDescription(text: string): string {
  return text.replace(/["\\]/g, "'").replace(/[^\x20-\x7e]/g, '?')
}
