import { z } from 'zod'
import { newLoginToken } from '../../../services/users/login-tokens.ts'
import { route } from '../../http/route.ts'
import { authData } from './auth-data.ts'
import { withPassword } from './password-proof.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv1loginget_token */
export const postLoginToken = route({
  method: 'POST',
  path: '/_matrix/client/v1/login/get_token',
  auth: 'user',
  onAccountPage: true,
  suspendedUsers: true,
  rateLimit: 'login',
  body: z.object({ auth: authData.optional() }),
  async handle({ session, body }, app) {
    const perform = () => newLoginToken(app, session)
    return withPassword(app, session, {
      operation: 'POST /login/get_token',
      auth: body.auth,
      perform,
      repeat: perform,
    })
  },
})
