import type { App } from '../../../app.ts'
import { MatrixError } from '../../../core/errors.ts'
import {
  AuthorizationError,
  type BegunAuthorization,
  beginAuthorization,
} from '../../../services/oauth/authorization-requests.ts'
import { OAUTH_PATHS } from '../../../services/oauth/metadata.ts'
import { OAuthError } from '../../../services/oauth/oauth-error.ts'
import { REGISTER_PATH, withContinue } from '../own-path.ts'
import { page, redirectTo, type Visit } from '../page.ts'

/**
 * Where clients send their users: https://spec.matrix.org/v1.19/client-server-api/#login-flow. Leads to the consent, if
 * need be by way of the sign-in or the registration.
 */
export const getAuthorizePage = page({
  method: 'GET',
  path: OAUTH_PATHS.authorization,
  rateLimit: 'oauth',
  async handle(visit, app) {
    const { searchParams } = new URL(visit.path, 'http://own.invalid')
    try {
      const begun = await beginAuthorization(app, searchParams, visit.session !== undefined)
      return redirectTo(firstPage(app, visit, begun))
    } catch (error) {
      if (error instanceof AuthorizationError) return redirectTo(error.location)
      throw error instanceof OAuthError ? errorOfClient(error) : error
    }
  },
})

/** The client or its redirect URI cannot be trusted, so that only the user learns of the error. */
function errorOfClient({ code, message }: OAuthError): MatrixError {
  if (code === 'invalid_client') return new MatrixError(400, 'M_UNKNOWN_CLIENT', message)
  if (code === 'invalid_redirect_uri') return new MatrixError(400, 'M_UNKNOWN_REDIRECT', message)
  return new MatrixError(400, 'M_INVALID_PARAM', message)
}

function firstPage({ config }: App, { session }: Visit, { requestId, prompt, loginHint }: BegunAuthorization): string {
  const consent = `/consent/${requestId}`
  if (prompt.includes('create') && config.registration.enabled) return withContinue(REGISTER_PATH, consent)
  if (session && !prompt.includes('login')) return consent
  const hint = loginHint === null ? '' : `?${new URLSearchParams({ login_hint: loginHint })}`
  return withContinue(`/login${hint}`, consent)
}
