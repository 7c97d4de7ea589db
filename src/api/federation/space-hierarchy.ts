import { z } from 'zod'
import { serveSpace } from '../../services/federation/serving/serve-space.ts'
import { queryBoolean, roomId } from '../http/fields.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/server-server-api/#get_matrixfederationv1hierarchyroomid */
export const getFederationHierarchy = route({
  method: 'GET',
  path: '/_matrix/federation/v1/hierarchy/:roomId',
  auth: 'server',
  params: z.object({ roomId }),
  query: z.object({ suggested_only: queryBoolean.default(false) }),
  handle: ({ params, query, session: { origin } }, app) =>
    serveSpace(app, { ...params, origin, suggestedOnly: query.suggested_only }),
})
