import { z } from 'zod'
import type { DeviceId } from '../../../core/ids.ts'
import { claimKeys } from '../../../services/lookup/claim-keys.ts'
import { v3 } from '../../http/client-paths.ts'
import { opaqueName } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { byUser, countKeys, keyRequests } from './encryption-fields.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysclaim */
export const postKeysClaim = route({
  method: 'POST',
  path: v3('/keys/claim'),
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  alsoCounts: ({ body }) => keyRequests(countKeys(body.one_time_keys, (devices) => Object.keys(devices).length)),
  body: z.object({ one_time_keys: byUser(z.record(opaqueName, opaqueName)), timeout: z.int().optional() }),
  handle({ body }, app) {
    const claims = [...body.one_time_keys].flatMap(([userId, devices]) =>
      Object.entries(devices).map(([deviceId, algorithm]) => ({
        user_id: userId,
        device_id: deviceId as DeviceId,
        algorithm,
      })),
    )
    return claimKeys(app, claims, body.timeout)
  },
})
