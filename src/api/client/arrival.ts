import { route } from '../http/route.ts'

/**
 * How a request arrives here, for whoever makes it: from which address as far as this server can tell, whether a proxy (or the client) named one, and at
 * which listener. From this `hearth doctor` finds out what a reverse proxy does to addresses, by which limits count.
 */
export const getArrival = route({
  method: 'GET',
  path: '/_matrix/client/unstable/hearth/arrival',
  auth: 'none',
  handle: ({ request }) => ({
    address: request.ip,
    forwarded: request.headers['x-forwarded-for'] !== undefined,
    port: request.raw.socket.localPort,
  }),
})
