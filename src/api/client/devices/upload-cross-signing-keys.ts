import { z } from 'zod'
import type { App } from '../../../app.ts'
import { ForbiddenError } from '../../../core/errors.ts'
import { uploadCrossSigningKeys } from '../../../services/devices/upload-cross-signing-keys.ts'
import { accountUrl } from '../../../services/users/account-management.ts'
import { hasPassword } from '../../../services/users/require-password.ts'
import { ACCOUNT_PAGE_STAGES } from '../../../services/users/uia-stages.ts'
import type { ApprovedRequest, UiaRequest } from '../../../services/users/user-interactive-auth.ts'
import { v3 } from '../../http/client-paths.ts'
import { jsonObject } from '../../http/fields.ts'
import { route, type Session } from '../../http/route.ts'
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
      proof: await proofOfReset(app, session),
      async perform(upload, completed) {
        const authenticated = session.appservice !== null || isProven(completed)
        if (await uploadCrossSigningKeys(app, { userId, upload, authenticated })) return {}
        throw new ForbiddenError('Your permission to replace the keys has ended. Permit it again on your account page.')
      },
    })
  },
})

/** Whether the request itself was authenticated; the account page permits the replacement of keys in another way. */
function isProven(completed: ApprovedRequest['completed'] | undefined): boolean {
  return completed?.['m.login.password'] !== undefined || completed?.['m.login.sso'] !== undefined
}

/**
 * Returns the authentication for the replacement of keys: the account page for sessions of OAuth 2.0 and for users
 * without a password, whose older clients know only m.login.sso; otherwise the password.
 * https://spec.matrix.org/v1.19/client-server-api/#oauth-authentication
 */
async function proofOfReset(app: App, { userId, scope }: Session): Promise<Pick<UiaRequest, 'flows' | 'params'>> {
  if (scope === null && (await hasPassword(app, userId))) return { flows: [['m.login.password']] }
  const url = accountUrl(app, 'org.matrix.cross_signing_reset')
  return {
    flows: [...ACCOUNT_PAGE_STAGES, ...(scope === null ? (['m.login.sso'] as const) : [])].map((stage) => [stage]),
    params: Object.fromEntries(ACCOUNT_PAGE_STAGES.map((stage) => [stage, { url }])),
  }
}
