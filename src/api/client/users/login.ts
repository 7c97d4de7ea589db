import { z } from 'zod'
import type { Config, ProviderConfig } from '../../../config.ts'
import { BadJsonError, MatrixError, MissingParamError } from '../../../core/errors.ts'
import { parsePhoneNumber } from '../../../infra/users/phone-number.ts'
import type { AccountIdentifier } from '../../../services/users/find-account.ts'
import { logInWithPassword, logInWithToken } from '../../../services/users/log-in.ts'
import { JWT_LOGIN, logInWithJwt } from '../../../services/users/log-in-with-jwt.ts'
import { APPSERVICE_LOGIN, logInAppserviceUser } from '../../../services/users/registration/appservice-users.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'
import { newSession } from './new-session.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login */
export const getLogin = route({
  method: 'GET',
  path: v3('/login'),
  auth: 'none',
  handle: (_, { config }) => ({
    flows: [
      ...(config.sign_in.passwords === 'disabled' ? [] : [{ type: 'm.login.password' }]),
      ssoFlow(config),
      { type: 'm.login.token', get_login_token: true },
      ...(config.jwt.algorithm === undefined ? [] : [{ type: JWT_LOGIN }]),
      ...(config.appservices.length > 0 ? [{ type: APPSERVICE_LOGIN }] : []),
    ],
  }),
})

/**
 * Tells clients that speak OAuth 2.0 to prefer it, also by the name of MSC3824.
 * https://spec.matrix.org/v1.19/client-server-api/#definition-mloginsso-flow-schema
 */
function ssoFlow({ oauth, identity_providers }: Config): Record<string, unknown> {
  const flow = { type: 'm.login.sso', identity_providers: identity_providers.map(shownProvider) }
  if (!oauth.enabled) return flow
  return { ...flow, oauth_aware_preferred: true, 'org.matrix.msc3824.delegated_oidc_compatibility': true }
}

function shownProvider({ id, name, icon, brand }: ProviderConfig): Record<string, string> {
  return { id, name, ...(icon !== undefined && { icon }), ...(brand !== undefined && { brand }) }
}

const loginBody = newSession.extend({
  type: z.string(),
  identifier: z
    .looseObject({
      type: z.string(),
      user: z.string().optional(),
      medium: z.string().optional(),
      address: z.string().optional(),
      country: z.string().max(8).optional(),
      phone: z.string().optional(),
      /** Before version 0.5 of the specification, `phone` was `number`. */
      number: z.string().optional(),
    })
    .optional(),
  user: z.string().optional(),
  password: z.string().optional(),
  token: z.string().optional(),
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login */
export const postLogin = route({
  method: 'POST',
  path: v3('/login'),
  auth: 'none',
  appservices: true,
  rateLimit: 'login',
  body: loginBody,
  async handle({ body, appservice, request: { ip, userAgent } }, app) {
    const device = {
      deviceId: body.device_id,
      displayName: body.initial_device_display_name,
      wantsRefreshToken: body.refresh_token ?? false,
    }
    const from = { ip, userAgent }
    if (body.type === 'm.login.password') {
      const password = required('password', body.password)
      const identifier = await identifierOf(body)
      return logInWithPassword(app, { identifier, password, device: { ...device, from } })
    }
    if (body.type === 'm.login.token')
      return logInWithToken(app, { token: required('token', body.token), device: { ...device, from } })
    if (body.type === JWT_LOGIN)
      return logInWithJwt(app, { token: required('token', body.token), device: { ...device, from } })
    if (body.type === APPSERVICE_LOGIN) {
      const user = required('identifier.user', body.identifier?.user ?? body.user)
      return logInAppserviceUser(app, appservice, { user, device })
    }
    throw new MatrixError(400, 'M_UNKNOWN', 'This login type is not supported')
  },
})

/**
 * https://spec.matrix.org/v1.19/client-server-api/#identifier-types; `user` is the deprecated form without an
 * identifier.
 */
async function identifierOf({ identifier, user }: z.output<typeof loginBody>): Promise<AccountIdentifier> {
  if (!identifier) return { user: required('identifier', user) }
  if (identifier.type === 'm.id.user') return { user: required('identifier.user', identifier.user) }
  if (identifier.type === 'm.id.phone') {
    const text = required('identifier.phone', identifier.phone ?? identifier.number)
    const number = await parsePhoneNumber(text, identifier.country)
    return { medium: 'msisdn', address: number?.msisdn ?? '' }
  }
  if (identifier.type !== 'm.id.thirdparty')
    throw new BadJsonError('identifier.type: only m.id.user, m.id.thirdparty and m.id.phone are supported')
  const medium = required('identifier.medium', identifier.medium)
  return { medium, address: required('identifier.address', identifier.address) }
}

function required(name: string, value: string | undefined): string {
  if (value === undefined) throw new MissingParamError(`${name}: it is needed for this type of login`)
  return value
}
