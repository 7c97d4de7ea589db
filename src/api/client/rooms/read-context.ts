import { z } from 'zod'
import { readHistoryAround } from '../../../services/lookup/read-history.ts'
import { filterFromQuery } from '../../../services/rooms/reading/timeline-filter.ts'
import { v3 } from '../../http/client-paths.ts'
import { eventId, queryInteger, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3roomsroomidcontexteventid */
export const getContext = route({
  method: 'GET',
  path: v3('/rooms/:roomId/context/:eventId'),
  auth: 'user',
  guests: true,
  params: z.object({ roomId, eventId }),
  query: z.object({ limit: queryInteger.optional(), filter: z.string().optional() }),
  handle: ({ params, query: { limit, filter }, session: { userId, deviceId } }, app) =>
    readHistoryAround(app, { ...params, userId, deviceId, limit, filter: filterFromQuery(filter) }),
})
