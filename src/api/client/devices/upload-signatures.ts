import { z } from 'zod'
import { uploadSignatures } from '../../../services/devices/upload-signatures.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'
import { byUser, storableObject } from './encryption-fields.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keyssignaturesupload */
export const postSignaturesUpload = route({
  method: 'POST',
  path: [...v3('/keys/signatures/upload'), '/_matrix/client/unstable/keys/signatures/upload'],
  auth: 'user',
  suspendedUsers: true,
  body: byUser(z.record(z.string(), storableObject)),
  handle: async ({ session, body }, app) => ({ failures: await uploadSignatures(app, session.userId, body) }),
})
