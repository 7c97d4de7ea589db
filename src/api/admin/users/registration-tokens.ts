import { z } from 'zod'
import {
  changeRegistrationToken,
  createRegistrationToken,
  unknownToken,
} from '../../../services/users/registration/registration-token-validity.ts'
import type { RegistrationTokenRow } from '../../../storage/schema/users.ts'
import {
  deleteRegistrationToken,
  findRegistrationToken,
  listRegistrationTokens,
} from '../../../storage/users/registration-tokens.ts'
import { opaqueName, queryBoolean } from '../../http/fields.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { v1 } from '../admin-fields.ts'

const MAX_TOKENS = 10_000
const MAX_LENGTH = 64
const MAX_USES = 2_147_483_647
const path = v1('/registration_tokens/:token')
export const ofToken = z.object({ token: opaqueName })
const limits = {
  uses_allowed: z.int().min(0).max(MAX_USES).nullish(),
  expiry_time: z.int().min(0).nullish(),
}

const getTokens = route({
  method: 'GET',
  path: v1('/registration_tokens'),
  auth: 'admin',
  query: z.object({ valid: queryBoolean.optional() }),
  async handle({ query: { valid = null } }, app) {
    const wanted = { valid, now: app.clock.now(), limit: MAX_TOKENS }
    return { registration_tokens: (await listRegistrationTokens(app.database, wanted)).map(describe) }
  },
})

export const postNewToken = route({
  method: 'POST',
  path: v1('/registration_tokens/new'),
  auth: 'admin',
  body: z.object({ ...limits, token: z.string().optional(), length: z.int().min(1).max(MAX_LENGTH).default(16) }),
  async handle({ body: { token: chosen, length, uses_allowed = null, expiry_time = null } }, app) {
    const wanted = { token: chosen ?? app.random.token(length), usesAllowed: uses_allowed, expiresTs: expiry_time }
    return describe(await createRegistrationToken(app, wanted))
  },
})

const getToken = route({
  method: 'GET',
  path,
  auth: 'admin',
  params: ofToken,
  async handle({ params }, app) {
    const token = await findRegistrationToken(app.database, params.token)
    if (!token) throw unknownToken()
    return describe(token)
  },
})

export const putToken = route({
  method: 'PUT',
  path,
  auth: 'admin',
  params: ofToken,
  body: z.object(limits),
  async handle({ params, body: { uses_allowed, expiry_time } }, app) {
    const change = {
      ...(uses_allowed !== undefined && { uses_allowed }),
      ...(expiry_time !== undefined && { expires_ts: expiry_time }),
    }
    return describe(await changeRegistrationToken(app, params.token, change))
  },
})

export const deleteToken = route({
  method: 'DELETE',
  path,
  auth: 'admin',
  params: ofToken,
  async handle({ params }, app) {
    if (!(await app.database.write((tx) => deleteRegistrationToken(tx, params.token)))) throw unknownToken()
    return {}
  },
})

export const registrationTokenEndpoints: readonly AnyEndpoint[] = [
  getTokens,
  postNewToken,
  getToken,
  putToken,
  deleteToken,
]

/** A registration counts as a use when it is complete, so that none is pending. */
function describe({ token, uses_allowed, uses_completed, expires_ts }: RegistrationTokenRow) {
  return { token, uses_allowed, pending: 0, completed: uses_completed, expiry_time: expires_ts }
}
