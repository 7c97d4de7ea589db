import { errorDescription, type OAuthErrorCode } from '../../services/oauth/oauth-error.ts'
import { type ErrorAnswer, Reply } from '../http/route.ts'

/**
 * Renders an error of an OAuth 2.0 endpoint as `{error, error_description}`. Clients log out after `invalid_grant`, and
 * some after any 4xx, so trouble of this server stays a 5xx.
 * https://www.rfc-editor.org/rfc/rfc6749#section-5.2
 */
export function renderOAuthError({ status, body }: ErrorAnswer): Reply {
  const answer =
    'error_description' in body
      ? body
      : { error: codeFor(status), error_description: errorDescription(String(body.error)) }
  // https://www.rfc-editor.org/rfc/rfc6750#section-3
  const challenge = status === 401 && { 'WWW-Authenticate': `Bearer error="${String(answer.error)}"` }
  return new Reply(status, answer, { ...challenge, 'Cache-Control': 'no-store' })
}

function codeFor(status: number): OAuthErrorCode {
  if (status === 401) return 'invalid_token'
  if (status === 403) return 'access_denied'
  if (status === 429 || status === 503) return 'temporarily_unavailable'
  return status >= 500 ? 'server_error' : 'invalid_request'
}
