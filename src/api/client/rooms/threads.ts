import { z } from 'zod'
import { readThreads } from '../../../services/rooms/reading/threads.ts'
import { queryInteger, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidthreads */
export const getThreads = route({
  method: 'GET',
  path: '/_matrix/client/v1/rooms/:roomId/threads',
  auth: 'user',
  params: z.object({ roomId }),
  query: z.object({
    include: z.enum(['all', 'participated']).default('all'),
    limit: queryInteger.refine((limit) => limit > 0, 'must be greater than 0').optional(),
    from: z.string().optional(),
  }),
  handle: ({ params, query, session: { userId, deviceId } }, app) =>
    readThreads(app, { ...params, ...query, userId, deviceId }),
})
