import { z } from 'zod'
import { OAUTH_PATHS } from '../../services/oauth/metadata.ts'
import { registerOAuthClient } from '../../services/oauth/oauth-clients.ts'
import { networkOf } from '../http/network-of.ts'
import { Reply, route } from '../http/route.ts'
import { renderOAuthError } from './render-oauth-error.ts'

/**
 * Dynamic client registration: https://spec.matrix.org/v1.19/client-server-api/#client-registration
 * Clients register at each sign-in, so only new clients count for the strict limit.
 */
export const postRegisterClient = route({
  method: 'POST',
  path: OAUTH_PATHS.registration,
  auth: 'none',
  renderError: renderOAuthError,
  body: z.unknown(),
  async handle({ body, request }, app) {
    const admitNew = () => app.rateLimiter.take('oauth', networkOf(request.ip))
    const { clientId, metadata } = await registerOAuthClient(app, body, admitNew)
    return new Reply(201, { client_id: clientId, ...metadata }, { 'Cache-Control': 'no-store' })
  },
})
