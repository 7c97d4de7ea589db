import { z } from 'zod'
import {
  newRegistrationNonce,
  registerBySharedSecret,
} from '../../../services/users/registration/shared-secret-registration.ts'
import { route } from '../../http/route.ts'
import { typeOfUser, v1 } from '../admin-fields.ts'

const path = v1('/register')

/** Returns the nonce for one registration by shared secret, in the form of Synapse's tools. */
export const getAdminRegister = route({
  method: 'GET',
  path,
  auth: 'none',
  rateLimit: 'registration',
  handle: async (_call, app) => ({ nonce: await newRegistrationNonce(app) }),
})

/** Registers an account for a caller who proves knowledge of the shared secret. */
export const postAdminRegister = route({
  method: 'POST',
  path,
  auth: 'none',
  rateLimit: 'registration',
  isAudited: true,
  body: z.object({
    nonce: z.string(),
    username: z.string(),
    password: z.string(),
    displayname: z.string().max(256).nullish(),
    admin: z.boolean().nullish(),
    user_type: typeOfUser.nullish(),
    refresh_token: z.boolean().default(false),
    mac: z.string(),
  }),
  handle: ({ body }, app) => registerBySharedSecret(app, body),
})
