import { UpstreamError } from '../../../infra/sign-in/upstream-provider.ts'
import { endByProvider } from '../../../services/sign-in/upstream-logout.ts'
import { readFormBody } from '../../http/body.ts'
import { Reply, route } from '../../http/route.ts'
import { providerParams } from './provider-list.ts'

const KEPT_NOWHERE = { 'Cache-Control': 'no-store' }

/** https://openid.net/specs/openid-connect-backchannel-1_0.html#BCRequest */
export const postBackchannelLogout = route({
  method: 'POST',
  path: '/upstream/:providerId/backchannel-logout',
  auth: 'none',
  params: providerParams,
  body: 'stream',
  async handle({ params, request }, app) {
    const token = (await readFormBody(request.raw, app.config.limits)).get('logout_token') ?? ''
    try {
      await endByProvider(app, app.identityProviders.get(params.providerId), token)
      return new Reply(200, {}, KEPT_NOWHERE)
    } catch (error) {
      if (!(error instanceof UpstreamError)) throw error
      const { fault, message } = error
      app.logger.warn({ err: error, identity_provider: params.providerId, fault }, 'back-channel logout refused')
      // The provider may try again when its keys could not be loaded.
      if (fault === 'unreachable') return new Reply(503, { error: 'temporarily_unavailable' }, KEPT_NOWHERE)
      return new Reply(400, { error: 'invalid_request', error_description: message }, KEPT_NOWHERE)
    }
  },
})
