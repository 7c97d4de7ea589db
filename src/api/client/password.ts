import { z } from 'zod'
import type { App } from '../../app.ts'
import { MatrixError } from '../../core/errors.ts'
import type { UserId } from '../../core/ids.ts'
import { checkNewPassword } from '../../services/users/new-password.ts'
import { setPassword } from '../../services/users/set-password.ts'
import type { AuthData } from '../../services/users/uia-stages.ts'
import { requireUserInteractiveAuth } from '../../services/users/user-interactive-auth.ts'
import { route } from '../http/route.ts'
import { authData } from './auth-data.ts'
import { v3 } from './client-paths.ts'
import { requirePassword } from './password-proof.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword */
export const postPassword = route({
  method: 'POST',
  path: v3('/account/password'),
  auth: 'optional',
  rateLimit: 'login',
  body: z.object({ auth: authData.optional(), new_password: z.string(), logout_devices: z.boolean().default(true) }),
  async handle({ session, body }, app) {
    if (session?.isGuest) throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'Guests have no password')
    if (!session && !app.mailer) throw new MatrixError(401, 'M_MISSING_TOKEN', 'An access token is needed')
    checkNewPassword(app, body.new_password)
    const operation = 'POST /account/password'
    const userId = session
      ? await requirePassword(app, session, { operation, auth: body.auth }).then(() => session.userId)
      : await requireEmail(app, { operation, auth: body.auth })
    const { new_password: password, logout_devices: logOutDevices } = body
    await setPassword(app, { userId, password, logOutDevices, keep: session })
    return {}
  },
})

/** Has a user who has forgotten the password prove to have an address of the account. */
async function requireEmail(app: App, request: { operation: string; auth: AuthData | undefined }): Promise<UserId> {
  const flows = [['m.login.email.identity'] as const]
  const { completed } = await requireUserInteractiveAuth(app, { ...request, userId: undefined, flows, body: {} })
  return completed['m.login.email.identity'] as UserId
}
