import { z } from 'zod'
import { readHistory } from '../../../services/lookup/read-history.ts'
import { filterFromQuery } from '../../../services/rooms/reading/timeline-filter.ts'
import { v3 } from '../../http/client-paths.ts'
import { queryInteger, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { direction } from './pagination-fields.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidmessages */
export const getMessages = route({
  method: 'GET',
  path: v3('/rooms/:roomId/messages'),
  auth: 'user',
  guests: true,
  params: z.object({ roomId }),
  query: z.object({
    dir: direction.default('forwards'),
    from: z.string().optional(),
    to: z.string().optional(),
    limit: queryInteger.optional(),
    filter: z.string().optional(),
  }),
  handle: ({ params, query: { dir, filter, ...range }, session: { userId, deviceId } }, app) =>
    readHistory(app, { ...params, ...range, userId, deviceId, direction: dir, filter: filterFromQuery(filter) }),
})
