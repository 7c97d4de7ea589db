import { forwardedFor } from '../../http/client-address.ts'
import { route } from '../../http/route.ts'

/**
 * Shows the client how its own request arrived: the client address, the number of addresses in X-Forwarded-For, and the
 * listener. `hearth doctor` uses it to check that a reverse proxy passes addresses on, since rate limits count by
 * address.
 */
export const getArrival = route({
  method: 'GET',
  path: '/_matrix/client/unstable/hearth/arrival',
  auth: 'none',
  handle: ({ request }) => ({
    address: request.ip,
    forwarded: forwardedFor(request.headers).length,
    port: request.raw.socket.localPort,
  }),
})
