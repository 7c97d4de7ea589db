import { z } from 'zod'
import { ForbiddenError } from '../../../core/errors.ts'
import { describeConnections } from '../../../services/devices/connections.ts'
import { v3 } from '../../http/client-paths.ts'
import { userId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3adminwhoisuserid */
export const getWhois = route({
  method: 'GET',
  path: v3('/admin/whois/:userId'),
  auth: 'user',
  params: z.object({ userId }),
  handle({ params, session }, app) {
    if (session.userId !== params.userId && !session.isAdmin) {
      throw new ForbiddenError('Only server administrators may do this for other users')
    }
    return describeConnections(app, params.userId)
  },
})
