import { z } from 'zod'
import { APPSERVICE_LOGIN, registerAppserviceUser } from '../../../services/users/registration/appservice-users.ts'
import { registerGuest, registerUser, requestedDevice } from '../../../services/users/registration/register.ts'
import { requireChoosable } from '../../../services/users/reserved-names.ts'
import { requireAvailable, userIdForNewName } from '../../../services/users/user-names.ts'
import { v3 } from '../../http/client-paths.ts'
import { route } from '../../http/route.ts'
import { authData } from './auth-data.ts'
import { newSession } from './new-session.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register */
export const postRegister = route({
  method: 'POST',
  path: v3('/register'),
  auth: 'none',
  appservices: true,
  rateLimit: 'registration',
  query: z.object({ kind: z.enum(['user', 'guest']).default('user') }),
  body: newSession.extend({
    type: z.string().optional(),
    auth: authData.optional(),
    username: z.string().optional(),
    password: z.string().optional(),
    inhibit_login: z.boolean().optional(),
    guest_access_token: z.string().optional(),
  }),
  handle({ query, body: { type, auth, ...request }, appservice }, app) {
    if (type === APPSERVICE_LOGIN || auth?.type === APPSERVICE_LOGIN) {
      const { username, inhibit_login: inhibited } = request
      return registerAppserviceUser(app, appservice, {
        username,
        device: inhibited ? undefined : requestedDevice(request),
      })
    }
    if (query.kind === 'guest') return registerGuest(app, request.initial_device_display_name)
    return registerUser(app, { request, auth, operation: 'POST /register' })
  },
})

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv3registeravailable */
export const getRegisterAvailable = route({
  method: 'GET',
  path: v3('/register/available'),
  auth: 'none',
  rateLimit: 'registration',
  query: z.object({ username: z.string() }),
  async handle({ query }, app) {
    const userId = userIdForNewName(app, query.username)
    requireChoosable(app, userId)
    await requireAvailable(app, userId)
    return { available: true }
  },
})
