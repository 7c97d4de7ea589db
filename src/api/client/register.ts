import { z } from 'zod'
import { registerGuest, registerUser } from '../../services/users/register.ts'
import { requireAvailable, userIdForNewName } from '../../services/users/user-names.ts'
import { deviceId } from '../http/fields.ts'
import { route } from '../http/route.ts'
import { authData } from './auth-data.ts'
import { v3 } from './client-paths.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#post_matrixclientv3register */
export const postRegister = route({
  method: 'POST',
  path: v3('/register'),
  auth: 'none',
  rateLimit: 'registration',
  query: z.object({ kind: z.enum(['user', 'guest']).default('user') }),
  body: z.object({
    auth: authData.optional(),
    username: z.string().optional(),
    password: z.string().optional(),
    device_id: deviceId.optional(),
    initial_device_display_name: z.string().max(255).optional(),
    inhibit_login: z.boolean().optional(),
    refresh_token: z.boolean().optional(),
    guest_access_token: z.string().optional(),
  }),
  handle({ query, body: { auth, ...request } }, app) {
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
    await requireAvailable(app, userIdForNewName(app, query.username))
    return { available: true }
  },
})
