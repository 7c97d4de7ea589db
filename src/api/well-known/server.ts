import { NotFoundError } from '../../core/errors.ts'
import { route } from '../http/route.ts'

/**
 * https://spec.matrix.org/v1.19/server-server-api/#getwell-knownmatrixserver; other servers always connect by HTTPS.
 */
export const getWellKnownServer = route({
  method: 'GET',
  path: '/.well-known/matrix/server',
  auth: 'none',
  handle(_call, app) {
    const { protocol, hostname, port } = new URL(app.config.public_base_url)
    if (protocol !== 'https:' || !app.config.federation.enabled) {
      throw new NotFoundError('This server cannot be reached by other servers')
    }
    return { 'm.server': `${hostname}:${port || 443}` }
  },
})
