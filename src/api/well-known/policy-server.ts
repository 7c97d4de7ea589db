import { NotFoundError } from '../../core/errors.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixpolicy_server */
export const getWellKnownPolicyServer = route({
  method: 'GET',
  path: '/.well-known/matrix/policy_server',
  auth: 'none',
  handle(_call, app) {
    const { public_key: key } = app.config.policy_server
    if (key === undefined) throw new NotFoundError('This server has no policy server')
    return { public_keys: { ed25519: key } }
  },
})
