import { z } from 'zod'
import { findEventAtTimeAnywhere } from '../../../services/lookup/find-event-at-time.ts'
import { queryInteger, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { direction } from './pagination-fields.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidtimestamp_to_event */
export const getTimestampToEvent = route({
  method: 'GET',
  path: [
    '/_matrix/client/v1/rooms/:roomId/timestamp_to_event',
    '/_matrix/client/unstable/org.matrix.msc3030/rooms/:roomId/timestamp_to_event',
  ],
  auth: 'user',
  params: z.object({ roomId }),
  query: z.object({ ts: queryInteger, dir: direction }),
  handle: ({ params, query, session }, app) =>
    findEventAtTimeAnywhere(app, { ...params, userId: session.userId, ts: query.ts, direction: query.dir }),
})
