import { z } from 'zod'
import { newOpenIdToken } from '../../../services/users/settings/openid-tokens.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject, userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { requireOwn } from './own-user.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3useruseridopenidrequest_token */
export const postOpenIdToken = route({
  method: 'POST',
  path: v3('/user/:userId/openid/request_token'),
  auth: 'user',
  params: z.object({ userId }),
  body: jsonObject,
  handle({ params, session }, app) {
    requireOwn(session, params.userId)
    return newOpenIdToken(app, params.userId)
  },
})
