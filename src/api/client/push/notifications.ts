import { z } from 'zod'
import { listNotifications } from '../../../services/push/list-notifications.ts'
import { v3 } from '../../http/client-paths.ts'
import { queryInteger } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

const DEFAULT_LIMIT = 20
const MAX_LIMIT = 100

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3notifications */
export const getNotifications = route({
  method: 'GET',
  path: v3('/notifications'),
  auth: 'user',
  query: z.object({
    from: z.string().optional(),
    limit: queryInteger.default(DEFAULT_LIMIT),
    only: z.string().optional(),
  }),
  handle: ({ query, session }, app) =>
    listNotifications(app, {
      userId: session.userId,
      deviceId: session.deviceId,
      from: query.from,
      limit: Math.min(Math.max(query.limit, 1), MAX_LIMIT),
      highlightsOnly: query.only === 'highlight',
    }),
})
