import { z } from 'zod'
import { deactivateUser } from '../../../services/users/deactivate.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'
import { authData } from './auth-data.ts'
import { withPasswordOfPeople } from './password-proof.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3accountdeactivate */
export const postDeactivate = route({
  method: 'POST',
  path: v3('/account/deactivate'),
  auth: 'user',
  onAccountPage: true,
  suspendedUsers: true,
  rateLimit: 'login',
  body: z.object({ auth: authData.optional(), erase: z.boolean().optional(), id_server: z.string().optional() }),
  handle({ session, body: { auth, ...body } }, app) {
    return withPasswordOfPeople(app, session, {
      operation: 'POST /account/deactivate',
      auth,
      body,
      async perform({ erase = false }) {
        await app.jobs.attend(await deactivateUser(app, { userId: session.userId, erase }))
        // Hearth binds nothing at identity servers, so there is nothing to unbind.
        return { id_server_unbind_result: 'success' }
      },
    })
  },
})
