import { z } from 'zod'
import { isValidRegistrationToken } from '../../../services/users/registration/registration-token-validity.ts'
import { route } from '../../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#get_matrixclientv1registermloginregistration_tokenvalidity */
export const getRegistrationTokenValidity = route({
  method: 'GET',
  path: '/_matrix/client/v1/register/m.login.registration_token/validity',
  auth: 'none',
  rateLimit: 'registration',
  query: z.object({ token: z.string() }),
  async handle({ query }, app) {
    return { valid: await isValidRegistrationToken(app, query.token) }
  },
})
