import { z } from 'zod'
import { keyChanges } from '../../../services/sync/v3/key-changes.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3keyschanges */
export const getKeysChanges = route({
  method: 'GET',
  path: v3('/keys/changes'),
  auth: 'user',
  query: z.object({ from: z.string(), to: z.string() }),
  handle: ({ session, query }, app) => keyChanges(app, { userId: session.userId, ...query }),
})
