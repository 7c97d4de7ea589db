import { z } from 'zod'
import type { App } from '../../../app.ts'
import { MatrixError, MissingParamError } from '../../../core/errors.ts'
import type { UserId } from '../../../core/ids.ts'
import { checkNewPassword } from '../../../services/users/new-password.ts'
import { requirePassword } from '../../../services/users/require-password.ts'
import { setPasswordHash } from '../../../services/users/set-password.ts'
import { authenticateAndPerform, type UiaRequest } from '../../../services/users/user-interactive-auth.ts'
import { v3 } from '../../http/client-paths.ts'
import { route, type Session } from '../../http/route.ts'
import { authData } from './auth-data.ts'

const passwordBody = z.object({
  auth: authData.optional(),
  new_password: z.string().optional(),
  logout_devices: z.boolean().optional(),
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword */
export const postPassword = route({
  method: 'POST',
  path: v3('/account/password'),
  auth: 'optional',
  onAccountPage: true,
  suspendedUsers: true,
  rateLimit: 'login',
  body: passwordBody,
  async handle({ session, body: { auth, new_password: secret, ...body } }, app) {
    if (session?.isGuest) throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests have no password')
    const proof = proofBy(app, session)
    if (proof.flows.length === 0) throw new MatrixError(401, 'M_MISSING_TOKEN', 'An access token is needed')
    if (session) await requirePassword(app, session.userId)
    const request = { operation: 'POST /account/password', auth, body, secret, ...proof }
    return authenticateAndPerform(app, request, {
      check({ hasSecret }) {
        if (!hasSecret) throw new MissingParamError('new_password: it is needed')
        if (secret !== undefined) checkNewPassword(app, secret)
      },
      async perform({ body: wanted, secretHash, completed }) {
        await setPasswordHash(app, {
          userId: session?.userId ?? ((completed['m.login.email.identity'] ?? completed['m.login.msisdn']) as UserId),
          hash: secretHash!,
          logOutDevices: (wanted as typeof body).logout_devices ?? true,
          keep: session,
        })
        return { answer: {} }
      },
      repeat: () => ({}),
    })
  },
})

/**
 * Returns the accepted proofs: the old password for users who are logged in, an e-mail address or a phone number of the
 * account for users who have forgotten it.
 */
function proofBy({ config, mailer }: App, session: Session | undefined): Pick<UiaRequest, 'userId' | 'flows'> {
  if (session) return { userId: session.userId, flows: [['m.login.password']] }
  const byMail = mailer ? [['m.login.email.identity'] as const] : []
  const byPhone = config.phone.gateway_url === undefined ? [] : [['m.login.msisdn'] as const]
  return { userId: undefined, flows: [...byMail, ...byPhone] }
}
