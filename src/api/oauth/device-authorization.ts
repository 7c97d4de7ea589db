import { z } from 'zod'
import { parseScope } from '../../core/oauth-scope.ts'
import { startDeviceGrant } from '../../services/oauth/device-grants.ts'
import { DEVICE_PAGE, OAUTH_PATHS } from '../../services/oauth/metadata.ts'
import { DEVICE_GRANT, findClient, noteClientUse } from '../../services/oauth/oauth-clients.ts'
import { OAuthError } from '../../services/oauth/oauth-error.ts'
import { showUserCode } from '../../services/oauth/user-code.ts'
import { networkOf, wideNetworkOf } from '../http/network-of.ts'
import { Reply, route } from '../http/route.ts'
import { renderOAuthError } from './render-oauth-error.ts'

/** https://datatracker.ietf.org/doc/html/rfc8628#section-3.1 */
export const postDeviceAuthorization = route({
  method: 'POST',
  path: OAUTH_PATHS.deviceAuthorization,
  auth: 'none',
  rateLimit: 'oauth',
  renderError: renderOAuthError,
  isForm: true,
  body: z.object({ client_id: z.string().max(4096), scope: z.string().max(4096).prefault('') }),
  async handle({ body: { client_id: clientId, scope: asked }, request: { ip } }, app) {
    const client = await findClient(app, clientId)
    if (!client.metadata.grant_types.includes(DEVICE_GRANT))
      throw new OAuthError('unauthorized_client', 'This client has not registered for the device grant')
    const parsed = parseScope(asked)
    if ('reason' in parsed) throw new OAuthError('invalid_scope', parsed.reason)
    await noteClientUse(app, client)
    const origin = { ip, network: networkOf(ip), wideNetwork: wideNetworkOf(ip) }
    const grant = await startDeviceGrant(app, { clientId, scope: parsed.scope, origin })
    const userCode = showUserCode(grant.userCode)
    const page = `${app.config.public_base_url}${DEVICE_PAGE}`
    const answer = {
      device_code: grant.deviceCode,
      user_code: userCode,
      verification_uri: page,
      verification_uri_complete: `${page}?user_code=${userCode}`,
      expires_in: Math.floor(grant.expiresInMs / 1000),
      interval: Math.ceil(grant.intervalMs / 1000),
    }
    return new Reply(200, answer, { 'Cache-Control': 'no-store' })
  },
})
