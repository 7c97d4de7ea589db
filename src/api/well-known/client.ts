import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient */
export const getWellKnownClient = route({
  method: 'GET',
  path: '/.well-known/matrix/client',
  auth: 'none',
  handle: (_call, app) => ({ 'm.homeserver': { base_url: app.config.public_base_url } }),
})
