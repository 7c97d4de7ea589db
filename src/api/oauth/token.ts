import { z } from 'zod'
import type { App } from '../../app.ts'
import { permitsOpenId } from '../../core/oauth-scope.ts'
import { exchangeCode } from '../../services/oauth/exchange-code.ts'
import { signIdToken } from '../../services/oauth/id-token.ts'
import { OAUTH_PATHS } from '../../services/oauth/metadata.ts'
import { DEVICE_GRANT } from '../../services/oauth/oauth-clients.ts'
import { OAuthError } from '../../services/oauth/oauth-error.ts'
import type { OpenedSession } from '../../services/oauth/open-oauth-session.ts'
import { redeemDeviceGrant } from '../../services/oauth/redeem-device-grant.ts'
import { refreshOAuthTokens } from '../../services/oauth/refresh-oauth-tokens.ts'
import type { SignInOrigin } from '../../services/users/device-login.ts'
import type { RefreshableTokens } from '../../services/users/issue-tokens.ts'
import { networkOf } from '../http/network-of.ts'
import { Reply, route } from '../http/route.ts'
import { renderOAuthError } from './render-oauth-error.ts'

const field = z.string().max(4096)

const tokenForm = z.object({
  grant_type: field,
  client_id: field,
  code: field.optional(),
  redirect_uri: field.optional(),
  code_verifier: field.optional(),
  refresh_token: field.optional(),
  device_code: field.optional(),
})

type TokenForm = z.output<typeof tokenForm>

/** The answer of each grant. */
const GRANTS: Record<string, (app: App, form: TokenForm, from: SignInOrigin) => Promise<object>> = {
  authorization_code: grantByCode,
  refresh_token: grantByRefreshToken,
  [DEVICE_GRANT]: grantByDeviceCode,
}

/**
 * https://spec.matrix.org/v1.19/client-server-api/#token-endpoint. A refresh is never refused because of a rate limit:
 * clients would take that for the end of their session.
 */
export const postToken = route({
  method: 'POST',
  path: OAUTH_PATHS.token,
  auth: 'none',
  rateLimit: 'none',
  renderError: renderOAuthError,
  isForm: true,
  body: tokenForm,
  async handle({ body, request }, app) {
    const grant = Object.hasOwn(GRANTS, body.grant_type) ? GRANTS[body.grant_type] : undefined
    if (!grant) throw new OAuthError('unsupported_grant_type', 'This grant type is not supported')
    if (grant !== grantByRefreshToken) await app.rateLimiter.take('default', networkOf(request.ip))
    const answer = await grant(app, body, { ip: request.ip, userAgent: request.userAgent })
    return new Reply(200, answer, { 'Cache-Control': 'no-store' })
  },
})

async function grantByCode(app: App, form: TokenForm, from: SignInOrigin): Promise<object> {
  const { userId, nonce, authenticatedTs, ...opened } = await exchangeCode(app, {
    clientId: form.client_id,
    code: required('code', form.code),
    redirectUri: required('redirect_uri', form.redirect_uri),
    codeVerifier: required('code_verifier', form.code_verifier),
    from,
  })
  return withIdToken(app, opened, { userId, clientId: form.client_id, nonce, authenticatedTs })
}

async function grantByDeviceCode(app: App, form: TokenForm, from: SignInOrigin): Promise<object> {
  const deviceCode = required('device_code', form.device_code)
  const clientId = form.client_id
  const { userId, authenticatedTs, ...opened } = await redeemDeviceGrant(app, { deviceCode, clientId, from })
  return withIdToken(app, opened, { userId, clientId, nonce: null, authenticatedTs })
}

/** Returns the answer of a grant that opened a session, with an ID token if its scope permits that. */
async function withIdToken(
  app: App,
  opened: OpenedSession,
  signIn: Parameters<typeof signIdToken>[1],
): Promise<object> {
  const idToken = permitsOpenId(opened.scope) && { id_token: await signIdToken(app, signIn) }
  return { ...answerOf(opened), ...idToken }
}

async function grantByRefreshToken(app: App, form: TokenForm): Promise<object> {
  const refreshToken = required('refresh_token', form.refresh_token)
  return answerOf(await refreshOAuthTokens(app, { refreshToken, clientId: form.client_id }))
}

function answerOf(tokens: RefreshableTokens & { scope: string }): object {
  return {
    access_token: tokens.access_token,
    token_type: 'Bearer',
    expires_in: Math.floor(tokens.expires_in_ms / 1000),
    refresh_token: tokens.refresh_token,
    scope: tokens.scope,
  }
}

function required(name: string, value: string | undefined): string {
  if (value === undefined) throw new OAuthError('invalid_request', `${name} is missing`)
  return value
}
