import { z } from 'zod'
import { uploadKeys } from '../../../services/devices/upload-keys.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { requireDevice } from './encryption-fields.ts'

const keys = z.record(z.string(), z.union([z.string(), jsonObject]))

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysupload */
export const postKeysUpload = route({
  method: 'POST',
  path: v3('/keys/upload'),
  auth: 'user',
  guests: true,
  suspendedUsers: true,
  body: z.object({
    device_keys: jsonObject.nullish().transform((object) => object ?? undefined),
    one_time_keys: keys.optional(),
    fallback_keys: keys.optional(),
  }),
  handle: async ({ session, body }, app) => ({
    one_time_key_counts: await uploadKeys(app, requireDevice(session), body),
  }),
})
