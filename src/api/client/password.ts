import { z } from 'zod'
import { checkNewPassword } from '../../services/users/new-password.ts'
import { setPassword } from '../../services/users/set-password.ts'
import { route } from '../http/route.ts'
import { authData } from './auth-data.ts'
import { v3 } from './client-paths.ts'
import { requirePassword } from './password-proof.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountpassword */
export const postPassword = route({
  method: 'POST',
  path: v3('/account/password'),
  auth: 'user',
  rateLimit: 'login',
  body: z.object({ auth: authData.optional(), new_password: z.string(), logout_devices: z.boolean().default(true) }),
  async handle({ session, body }, app) {
    checkNewPassword(app, body.new_password)
    await requirePassword(app, session, { operation: 'POST /account/password', auth: body.auth })
    await setPassword(app, {
      userId: session.userId,
      password: body.new_password,
      logOutDevices: body.logout_devices,
      keep: session,
    })
    return {}
  },
})
