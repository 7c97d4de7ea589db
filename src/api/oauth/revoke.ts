import { z } from 'zod'
import { revokeToken } from '../../services/oauth/end-oauth-session.ts'
import { OAUTH_PATHS } from '../../services/oauth/metadata.ts'
import { Reply, route } from '../http/route.ts'
import { renderOAuthError } from './render-oauth-error.ts'

/**
 * https://spec.matrix.org/v1.19/client-server-api/#token-revocation. A missing or wrong `client_id` revokes as well: the
 * client has the token.
 */
export const postRevoke = route({
  method: 'POST',
  path: OAUTH_PATHS.revocation,
  auth: 'none',
  renderError: renderOAuthError,
  isForm: true,
  body: z.object({ token: z.string().max(4096) }),
  async handle({ body }, app) {
    await revokeToken(app, body.token)
    // Some clients parse the response as JSON.
    return new Reply(200, {}, { 'Cache-Control': 'no-store' })
  },
})
