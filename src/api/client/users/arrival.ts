import { forwardedFor } from '../../http/client-address.ts'
import { route } from '../../http/route.ts'

/**
 * Tells the client how its own request arrives: from which address as far as this server can tell, how many addresses proxies (or the client) named in
 * X-Forwarded-For, and at which listener. From this `hearth doctor` finds out what a reverse proxy does to addresses, by which limits count.
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
