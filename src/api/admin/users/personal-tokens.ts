import { z } from 'zod'
import { findLocalUser } from '../../../services/users/account-moderation.ts'
import {
  createPersonalToken,
  PERSONAL_TOKEN_SCOPES,
  revokePersonalToken,
} from '../../../services/users/personal-tokens.ts'
import { loadPersonalTokens } from '../../../storage/users/personal-tokens.ts'
import { deviceId, opaqueName } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { hearthV1, ofUser } from '../admin-fields.ts'

const path = hearthV1('/users/:userId/personal_tokens')
const MAX_SCOPE = 1000

const getTokens = route({
  method: 'GET',
  path,
  auth: 'admin',
  params: ofUser,
  async handle({ params: { userId } }, app) {
    await findLocalUser(app, userId)
    return { tokens: await loadPersonalTokens(app.database, userId) }
  },
})

/** Creates a token even if users may not; the response alone has its secret. */
const postToken = route({
  method: 'POST',
  path,
  auth: 'admin',
  params: ofUser,
  body: z.object({
    name: z.string(),
    scope: z.string().max(MAX_SCOPE).default(PERSONAL_TOKEN_SCOPES[0]),
    lifetime_ms: z.int().positive().optional(),
    device_id: deviceId.optional(),
  }),
  async handle({ params: { userId }, body, request: { ip, userAgent } }, app) {
    await findLocalUser(app, userId)
    const { name, scope, lifetime_ms: lifetimeMs, device_id: deviceId } = body
    const from = { ip, userAgent }
    return createPersonalToken(app, { userId, name, scope, lifetimeMs, deviceId, from }, { byOperator: true })
  },
})

const deleteToken = route({
  method: 'DELETE',
  path: hearthV1('/personal_tokens/:tokenId'),
  auth: 'admin',
  params: z.object({ tokenId: opaqueName }),
  async handle({ params: { tokenId } }, app) {
    await revokePersonalToken(app, { tokenId })
    return {}
  },
})

export const personalTokenEndpoints: readonly AnyEndpoint[] = [getTokens, postToken, deleteToken]
