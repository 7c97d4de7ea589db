import { z } from 'zod'
import { uploadCrossSigningKeys } from '../../../services/devices/upload-cross-signing-keys.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject } from '../../http/fields.ts'
import { route } from '../../http/route.ts'
import { authData } from '../users/auth-data.ts'
import { withPasswordOfPeople } from '../users/password-proof.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3keysdevice_signingupload */
export const postDeviceSigningUpload = route({
  method: 'POST',
  path: [...v3('/keys/device_signing/upload'), '/_matrix/client/unstable/keys/device_signing/upload'],
  auth: 'user',
  suspendedUsers: true,
  body: z.object({
    auth: authData.nullish().transform((auth) => auth ?? undefined),
    master_key: jsonObject.nullish(),
    self_signing_key: jsonObject.nullish(),
    user_signing_key: jsonObject.nullish(),
  }),
  async handle({ session, body: { auth, ...keys } }, app) {
    const { userId } = session
    const isGiven = Object.values(keys).some((key) => key)
    // A client that continues an authentication may send only `auth`. Otherwise the first attempt shows whether
    // authentication is needed.
    if (isGiven && (await uploadCrossSigningKeys(app, { userId, upload: keys, authenticated: false }))) return {}
    return withPasswordOfPeople(app, session, {
      operation: 'POST /keys/device_signing/upload',
      auth,
      body: keys,
      async perform(upload) {
        await uploadCrossSigningKeys(app, { userId, upload, authenticated: true })
        return {}
      },
    })
  },
})
