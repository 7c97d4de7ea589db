import { z } from 'zod'
import { queryKeys } from '../../../services/lookup/query-keys.ts'
import { v3 } from '../../http/client-paths.ts'
import { opaqueName } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { byUser, countKeys, keyRequests } from './encryption-fields.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysquery */
export const postKeysQuery = route({
  method: 'POST',
  path: v3('/keys/query'),
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  alsoCounts: ({ body }) => keyRequests(countKeys(body.device_keys, (devices) => devices.length)),
  body: z.object({ device_keys: byUser(z.array(opaqueName)), timeout: z.int().optional() }),
  handle: ({ session, body }, app) =>
    queryKeys(app, { viewer: session.userId, wanted: body.device_keys, timeout: body.timeout }),
})
