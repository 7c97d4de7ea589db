import type { App } from '../../app.ts'
import { FIXED_SCOPES } from '../../core/oauth-scope.ts'
import { ACCOUNT_ACTIONS, accountUrl } from '../users/account-management.ts'
import { GRANT_TYPES } from './oauth-clients.ts'

/** Paths of the OAuth 2.0 endpoints. Clients cache the metadata for long, so they must not change. */
export const OAUTH_PATHS = {
  authorization: '/oauth2/authorize',
  token: '/oauth2/token',
  revocation: '/oauth2/revoke',
  registration: '/oauth2/register',
  jwks: '/oauth2/jwks',
  userinfo: '/oauth2/userinfo',
  deviceAuthorization: '/oauth2/device_authorization',
} as const

/** The page on which users enter the codes of devices. */
export const DEVICE_PAGE = '/device'

/** Returns the name of this server as an issuer of tokens. */
export function issuerOf({ config }: Pick<App, 'config'>): string {
  return `${config.public_base_url}/`
}

/**
 * Returns the metadata of the authorization server: RFC 8414 with the fields of OpenID Connect Discovery, which generic
 * libraries need. https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1auth_metadata
 */
export function authMetadata(app: Pick<App, 'config'>): Record<string, unknown> {
  const { config } = app
  const at = (path: string) => `${config.public_base_url}${path}`
  return {
    issuer: issuerOf(app),
    authorization_endpoint: at(OAUTH_PATHS.authorization),
    token_endpoint: at(OAUTH_PATHS.token),
    revocation_endpoint: at(OAUTH_PATHS.revocation),
    registration_endpoint: at(OAUTH_PATHS.registration),
    jwks_uri: at(OAUTH_PATHS.jwks),
    userinfo_endpoint: at(OAUTH_PATHS.userinfo),
    response_types_supported: ['code'],
    response_modes_supported: ['query', 'fragment'],
    device_authorization_endpoint: at(OAUTH_PATHS.deviceAuthorization),
    grant_types_supported: GRANT_TYPES,
    code_challenge_methods_supported: ['S256'],
    prompt_values_supported: ['none', 'login', 'consent', ...(config.registration.enabled ? ['create'] : [])],
    scopes_supported: FIXED_SCOPES,
    token_endpoint_auth_methods_supported: ['none'],
    revocation_endpoint_auth_methods_supported: ['none'],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['RS256'],
    claims_supported: ['iss', 'sub', 'aud', 'iat', 'exp', 'nonce', 'auth_time', 'preferred_username', 'name'],
    request_parameter_supported: false,
    request_uri_parameter_supported: false,
    account_management_uri: accountUrl(app),
    account_management_actions_supported: ACCOUNT_ACTIONS,
  }
}
