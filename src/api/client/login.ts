import { z } from 'zod'
import type { App } from '../../app.ts'
import { BadJsonError, MatrixError, MissingParamError } from '../../core/errors.ts'
import { APPSERVICE_LOGIN, logInAppserviceUser } from '../../services/users/appservice-users.ts'
import { emailAddress } from '../../services/users/email-address.ts'
import { logInWithPassword, logInWithToken } from '../../services/users/log-in.ts'
import { localUserId } from '../../services/users/user-names.ts'
import { findThreepidOwner } from '../../storage/threepids.ts'
import { deviceId } from '../http/fields.ts'
import { route } from '../http/route.ts'
import { v3 } from './client-paths.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3login */
export const getLogin = route({
  method: 'GET',
  path: v3('/login'),
  auth: 'none',
  handle: (_, { config }) => ({
    flows: [
      { type: 'm.login.password' },
      { type: 'm.login.token', get_login_token: true },
      ...(config.appservices.length > 0 ? [{ type: APPSERVICE_LOGIN }] : []),
    ],
  }),
})

const loginBody = z.object({
  type: z.string(),
  identifier: z
    .looseObject({
      type: z.string(),
      user: z.string().optional(),
      medium: z.string().optional(),
      address: z.string().optional(),
    })
    .optional(),
  user: z.string().optional(),
  password: z.string().optional(),
  token: z.string().optional(),
  device_id: deviceId.optional(),
  initial_device_display_name: z.string().max(255).optional(),
  refresh_token: z.boolean().optional(),
})

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3login */
export const postLogin = route({
  method: 'POST',
  path: v3('/login'),
  auth: 'none',
  appservices: true,
  rateLimit: 'login',
  body: loginBody,
  accountTried({ body }, app) {
    const name = (body.identifier?.user ?? body.user)?.toLowerCase()
    return (name && localUserId(app, name)) ?? body.identifier?.address?.toLowerCase()
  },
  async handle({ body, appservice }, app) {
    const device = {
      deviceId: body.device_id,
      displayName: body.initial_device_display_name,
      wantsRefreshToken: body.refresh_token ?? false,
    }
    if (body.type === 'm.login.password') {
      const password = required('password', body.password)
      return logInWithPassword(app, { user: await userOf(app, body), password, device })
    }
    if (body.type === 'm.login.token') return logInWithToken(app, { token: required('token', body.token), device })
    if (body.type === APPSERVICE_LOGIN) {
      const user = required('identifier.user', body.identifier?.user ?? body.user)
      return logInAppserviceUser(app, appservice, { user, device })
    }
    throw new MatrixError(400, 'M_UNKNOWN', 'There is no login of this type here')
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#identifier-types; `user` is how it was before there were identifiers. */
async function userOf(app: App, { identifier, user }: z.output<typeof loginBody>): Promise<string> {
  if (!identifier) return required('identifier', user)
  if (identifier.type === 'm.id.user') return required('identifier.user', identifier.user)
  if (identifier.type !== 'm.id.thirdparty')
    throw new BadJsonError('identifier.type: only m.id.user and m.id.thirdparty are supported')
  const medium = required('identifier.medium', identifier.medium)
  const address = emailAddress(required('identifier.address', identifier.address))
  const owner = address && (await findThreepidOwner(app.database, { medium, address }))
  // What is nobody's fails like a wrong password, so that nobody learns which addresses have accounts.
  return owner ?? ''
}

function required(name: string, value: string | undefined): string {
  if (value === undefined) throw new MissingParamError(`${name}: it is needed for this type of login`)
  return value
}
