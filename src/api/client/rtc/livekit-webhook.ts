import { LIVEKIT_SERVICE_PATH } from '../../../services/rtc/livekit.ts'
import { receiveWebhook, verifyWebhookToken } from '../../../services/rtc/receive-webhook.ts'
import { readTextBody } from '../../http/body.ts'
import { route } from '../../http/route.ts'

/**
 * Receives the webhooks of LiveKit. The signature in the header is verified before the body is read, so that others
 * cost as little as a wrong access token; LiveKit itself may send any number.
 */
export const postLivekitWebhook = route({
  method: 'POST',
  path: `${LIVEKIT_SERVICE_PATH}/sfu_webhook`,
  auth: 'none',
  rateLimit: 'none',
  body: 'stream',
  async handle({ request }, app) {
    const sha256 = await verifyWebhookToken(app, request.headers.authorization)
    return receiveWebhook(app, { body: await readTextBody(request.raw, app.config.limits), sha256 })
  },
})
