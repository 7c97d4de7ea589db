import { listSigningKeys, rotateSigningKey } from '../../../services/federation/serving/rotate-signing-key.ts'
import { type AnyEndpoint, route } from '../../http/route.ts'
import { hearthV1 } from '../admin-fields.ts'

const getSigningKeys = route({
  method: 'GET',
  path: hearthV1('/signing_keys'),
  auth: 'admin',
  handle: async (_call, app) => ({ signing_keys: await listSigningKeys(app) }),
})

/** Replaces the signing key. */
export const postRotateSigningKey = route({
  method: 'POST',
  path: hearthV1('/signing_keys/rotate'),
  auth: 'admin',
  handle: async (_call, app) => ({ signing_keys: await rotateSigningKey(app) }),
})

/** The keys that this server signs events and requests with. */
export const signingKeyEndpoints: readonly AnyEndpoint[] = [getSigningKeys, postRotateSigningKey]
