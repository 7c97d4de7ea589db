import { z } from 'zod'
import { findSpaceHierarchy } from '../../../services/lookup/find-space.ts'
import { queryBoolean, queryInteger, roomId } from '../../http/fields.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1roomsroomidhierarchy */
export const getSpaceHierarchy = route({
  method: 'GET',
  path: [
    '/_matrix/client/v1/rooms/:roomId/hierarchy',
    '/_matrix/client/unstable/org.matrix.msc2946/rooms/:roomId/hierarchy',
  ],
  auth: 'user',
  guests: true,
  params: z.object({ roomId }),
  query: z.object({
    suggested_only: queryBoolean.default(false),
    limit: queryInteger.min(1).optional(),
    max_depth: queryInteger.optional(),
    from: z.string().optional(),
  }),
  handle: ({ params, query, session: { userId } }, app) =>
    findSpaceHierarchy(app, {
      ...params,
      userId,
      suggestedOnly: query.suggested_only,
      maxDepth: query.max_depth,
      limit: query.limit,
      from: query.from,
    }),
})
