import { z } from 'zod'
import type { App } from '../../../app.ts'
import { ForbiddenError, InvalidParamError, MissingParamError } from '../../../core/errors.ts'
import { permitsAdmin } from '../../../core/oauth-scope.ts'
import {
  createPersonalToken,
  PERSONAL_TOKEN_SCOPES,
  revokePersonalToken,
} from '../../../services/users/personal-tokens.ts'
import { findSecondFactorNeed } from '../../../services/users/second-factor-policy.ts'
import { loadPersonalTokens, type PersonalToken } from '../../../storage/users/personal-tokens.ts'
import { findUser } from '../../../storage/users/users.ts'
import { deviceId, opaqueName } from '../../http/fields.ts'
import { route, type Session } from '../../http/route.ts'
import { authData } from './auth-data.ts'
import { withPassword } from './password-proof.ts'

const PATH = '/_matrix/client/unstable/hearth/tokens'

/** Lists the personal tokens of the user, without their secrets. */
export const getPersonalTokens = route({
  method: 'GET',
  path: PATH,
  auth: 'user',
  async handle({ session }, app) {
    return { tokens: (await loadPersonalTokens(app.database, session.userId)).map(tokenJson) }
  },
})

const tokenBody = z.object({
  auth: authData.optional(),
  name: z.string().optional(),
  scope: z.string().max(1000).optional(),
  lifetime_ms: z.int().positive().optional(),
  device_id: deviceId.optional(),
})

/** Creates a personal token; the response alone has its secret. */
export const postPersonalToken = route({
  method: 'POST',
  path: PATH,
  auth: 'user',
  rateLimit: 'login',
  body: tokenBody,
  async handle({ session, body: { auth, ...body }, request }, app) {
    if (!app.config.personal_tokens.enabled) throw new ForbiddenError('This server has no personal tokens')
    await requirePasswordAlone(app, session)
    return withPassword(app, session, {
      operation: 'POST /hearth/tokens',
      auth,
      body,
      check({ name, scope = '' }) {
        if (name === undefined) throw new MissingParamError('name: it is needed')
        if (permitsAdmin(scope) && !session.isAdmin)
          throw new ForbiddenError('scope: your access token has not the rights of an administrator')
      },
      async perform({ name = '', scope = PERSONAL_TOKEN_SCOPES[0], lifetime_ms: lifetimeMs, device_id: deviceId }) {
        const from = { ip: request.ip, userAgent: request.userAgent }
        const wanted = { userId: session.userId, name, scope, lifetimeMs, deviceId, from, by: session }
        const { access_token, ...token } = await createPersonalToken(app, wanted)
        return { access_token, ...tokenJson(token) }
      },
      repeat: async () => {
        throw new InvalidParamError(
          'The token was created, and its secret is not shown again. Revoke it, and create another.',
        )
      },
    })
  },
})

/** A token outlasts the session that creates it, so that the password alone must be enough to sign in. */
async function requirePasswordAlone(app: App, { userId }: Session): Promise<void> {
  // Not `session.isAdmin`: an administrator's token need not have the rights of one.
  const user = await findUser(app.database, userId)
  const need = user ? await findSecondFactorNeed(app, app.database, user) : 'none'
  if (need === 'none') return
  throw new ForbiddenError(
    `This account has or needs a second factor. Create the token at ${app.config.public_base_url}/account/tokens`,
  )
}

/** Revokes a personal token of the user. */
export const deletePersonalToken = route({
  method: 'DELETE',
  path: `${PATH}/:tokenId`,
  auth: 'user',
  suspendedUsers: true,
  params: z.object({ tokenId: opaqueName }),
  async handle({ session, params: { tokenId } }, app) {
    await revokePersonalToken(app, { tokenId, userId: session.userId })
    return {}
  },
})

function tokenJson({ token_id, name, scope, created_ts, device_id, expires_ts, last_used_ts }: PersonalToken) {
  return {
    token_id,
    name,
    scope,
    created_ts,
    ...(device_id !== null && { device_id }),
    ...(expires_ts !== null && { expires_ts }),
    ...(last_used_ts > 0 && { last_used_ts }),
  }
}
