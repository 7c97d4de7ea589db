import { loadJwks, loadUserClaims } from '../../services/oauth/id-token.ts'
import { OAUTH_PATHS } from '../../services/oauth/metadata.ts'
import { route } from '../http/route.ts'
import { renderOAuthError } from './render-oauth-error.ts'

/** The keys that verify ID tokens: https://www.rfc-editor.org/rfc/rfc7517#section-5 */
export const getJwks = route({
  method: 'GET',
  path: OAUTH_PATHS.jwks,
  auth: 'none',
  renderError: renderOAuthError,
  handle: (_, app) => loadJwks(app),
})

/** https://openid.net/specs/openid-connect-core-1_0.html#UserInfo */
export const getUserinfo = userinfo('GET')
/** The same by POST, as OpenID Connect demands. */
export const postUserinfo = userinfo('POST')

function userinfo(method: 'GET' | 'POST') {
  return route({
    method,
    path: OAUTH_PATHS.userinfo,
    auth: 'user',
    suspendedUsers: true,
    needsScope: 'openid',
    renderError: renderOAuthError,
    handle: ({ session }, app) => loadUserClaims(app, session.userId),
  })
}
