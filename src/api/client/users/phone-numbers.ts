import { z } from 'zod'
import { MatrixError } from '../../../core/errors.ts'
import type { ProofPurpose } from '../../../services/users/mail/email-proof-texts.ts'
import { requestPhoneProof, requirePhones, submitPhoneCode } from '../../../services/users/phone-proof.ts'
import { v3 } from '../../http/client-paths.ts'
import { networkOf } from '../../http/network-of.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { clientSecret } from './client-secret.ts'

/** Where clients send the codes, as in Synapse; the specification leaves it to `submit_url`. */
const SUBMIT_PATH = '/_matrix/client/unstable/add_threepid/msisdn/submit_token'

/**
 * https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3registermsisdnrequesttoken and its siblings. If
 * the request has an access token, which is optional, only its user can use the proof.
 */
function requestPhoneToken(place: string, purpose: ProofPurpose) {
  return route({
    method: 'POST',
    path: v3(`${place}/msisdn/requestToken`),
    auth: purpose === 'add' ? 'optional' : 'none',
    onAccountPage: true,
    suspendedUsers: true,
    rateLimit: 'login',
    body: z.object({
      country: z.string().max(8),
      phone_number: z.string(),
      client_secret: clientSecret,
      send_attempt: z.int().min(0),
    }),
    async handle({ session, body, request: { ip } }, app) {
      requirePhones(app)
      if (purpose === 'register' && !app.config.registration.enabled)
        throw new MatrixError(403, 'M_THREEPID_DENIED', 'Registration is disabled')
      const { sid, msisdn } = await requestPhoneProof(app, {
        purpose,
        number: body.phone_number,
        country: body.country,
        userId: session?.userId,
        clientSecret: body.client_secret,
        sendAttempt: body.send_attempt,
        network: networkOf(ip),
      })
      return { sid, msisdn, submit_url: app.config.public_base_url + SUBMIT_PATH }
    },
  })
}

/** https://spec.matrix.org/v1.19/identity-service-api/#post_matrixidentityv2validatemsisdnsubmittoken */
const postPhoneCode = route({
  method: 'POST',
  path: SUBMIT_PATH,
  auth: 'none',
  rateLimit: 'login',
  body: z.object({ sid: z.string().max(255), client_secret: clientSecret, token: z.string().max(64) }),
  async handle({ body: { token, ...credentials } }, app) {
    requirePhones(app)
    return { success: await submitPhoneCode(app, credentials, token) }
  },
})

/** Verification of phone numbers. */
export const phoneNumberEndpoints: AnyEndpoint[] = [
  requestPhoneToken('/register', 'register'),
  requestPhoneToken('/account/password', 'password'),
  requestPhoneToken('/account/3pid', 'add'),
  postPhoneCode,
]
