import { rtcTransports } from '../../services/rtc/livekit.ts'
import { route } from '../http/route.ts'

/** https://spec.matrix.org/v1.19/client-server-api/#getwell-knownmatrixclient */
export const getWellKnownClient = route({
  method: 'GET',
  path: '/.well-known/matrix/client',
  auth: 'none',
  handle(_call, app) {
    const transports = rtcTransports(app)
    return {
      'm.homeserver': { base_url: app.config.public_base_url },
      // Clients without the endpoint for transports: https://github.com/matrix-org/matrix-spec-proposals/pull/4143
      ...(transports.length > 0 && { 'org.matrix.msc4143.rtc_foci': transports }),
    }
  },
})
